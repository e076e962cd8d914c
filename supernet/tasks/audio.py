"""Recordings by class: a folder of WAV files with a folder for each word or speaker, or a tar archive of such a folder.

The classes may stand in `train`, `validation` and `test` folders.  Where they stand in file names, `pattern` says
where: `{label}_{speaker}_{group}`; a `{group}` (a speaker, a take) is never divided between splits, and `test_groups`
names those of the test set.  What is missing of validation and test is cut from the training recordings, by whole
groups or the same share of each class; equal recordings never stand in two splits.  A network reads log-mel features.
The scores are error, accuracy, loss, and the equal error rate of closed-set verification.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from supernet.errors import DataError
from supernet.tasks.audio_changes import CHANGES
from supernet.tasks.cache import Decoded, keep
from supernet.tasks.content_splits import Sample, content_digest
from supernet.tasks.data_files import identify, read_files
from supernet.tasks.error_rates import equal_error_rate
from supernet.tasks.file_labels import check_groups, check_pattern, give_groups, read_labels
from supernet.tasks.labelled_samples import Samples, arrange, serve
from supernet.tasks.log_mel import LogMel
from supernet.tasks.options import limits, number, one_of, whole
from supernet.tasks.task import score_logits
from supernet.tasks.wav_files import SUFFIXES, decode_wav

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePosixPath

    from numpy.typing import NDArray
    from torch import Tensor

    from supernet.tasks.task import Task

VERSION = 1  # of everything that decides what is kept; a new one lets older caches lie
LONGEST_SECONDS = 600.0


def load(
    *,
    data: Path,
    rate: int | None = None,
    seconds: float = 1.0,
    features: int = 40,
    pattern: str | None = None,
    test_groups: Sequence[str | int] = (),
    validation_groups: Sequence[str | int] = (),
    max_samples: int | None = None,
    validation_samples: int | None = None,
    augment: str = "shift_and_mask",
    cache: Path | None = None,
) -> Task:
    """The task; inputs are (features, frames), one frame each 10 ms of `seconds`, each band with a mean of zero.

    `rate` is what all recordings must have, in samples a second; without it they must have the same.  Nothing is
    resampled or mixed down.  `max_samples` bounds each split, `validation_samples` the one
    that every evaluation of a search reads.  `augment` is none, shift or shift_and_mask.  Raises
    `OptionError` for options, `DataError` for data that cannot be used, naming the file.
    """
    if rate is not None:
        whole("audio", "rate", rate, at_least=1_000, at_most=1_000_000)
    number("audio", "seconds", seconds, above=0, below=LONGEST_SECONDS)
    whole("audio", "features", features, at_least=1, at_most=1_024)
    most = limits("audio", max_samples=max_samples, validation_samples=validation_samples)
    one_of("audio", "augment", augment, tuple(CHANGES))
    check_pattern(pattern)
    groups = check_groups(test_groups=test_groups, validation_groups=validation_groups)

    def make() -> Decoded:
        return arrange(_from_files(data, rate, seconds, features, pattern, groups))

    key = {
        "version": VERSION,
        "source": identify(data, SUFFIXES),
        "form": [rate, float(seconds), features],
        "pattern": pattern,
        "groups": groups,
    }
    decoded = keep(make, cache=cache, name="audio", key=key)
    return replace(
        serve("audio", decoded, most),
        kind="audio",
        augment=CHANGES[augment],
        measure=measure,
        metrics={"error": "minimize", "accuracy": "maximize", "loss": "minimize", "eer": "minimize"},
    )


def measure(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """`error`, `accuracy` and `loss` as everywhere, and `eer`, what `equal_error_rate` says."""
    return score_logits(logits, targets) | {"eer": equal_error_rate(logits, targets)}


def _from_files(
    data: Path, rate: int | None, seconds: float, features: int, pattern: str | None, groups: dict[str, list[str]]
) -> Samples:
    paths: list[PurePosixPath] = []
    arrays: list[NDArray[Any]] = []
    transform = None if rate is None else LogMel(rate, features, seconds)
    for path, content in read_files(data, SUFFIXES):
        recording = decode_wav(str(path), content)
        if transform is None:
            transform = LogMel(recording.rate, features, seconds)
        if recording.rate != transform.rate:
            wanted = f"{paths[0]} {transform.rate}" if rate is None else f"rate is {rate}"
            raise DataError(
                f"the recording {path} has {recording.rate} samples a second, but {wanted}; nothing is resampled here. "
                "Convert the files to one rate, or set `rate` to the one they have."
            )
        paths.append(path)
        arrays.append(transform(torch.from_numpy(recording.samples)).numpy())
    labels = give_groups(read_labels(paths, pattern), groups)
    # Copies are what a network cannot tell apart, whatever the files hold besides.
    decisive = [
        Sample(label.label, content_digest(array), label.group, label.split)
        for label, array in zip(labels, arrays, strict=True)
    ]
    return Samples(arrays, decisive)
