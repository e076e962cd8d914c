"""Images by class: a folder of a folder for each class, a tar archive of such a folder, or arrays in an .npz.

The classes may stand in `train`, `validation` and `test` folders; what is missing of these is cut from the training
images, the same share of each class, by a digest of what they show.  Where classes stand in file names, `pattern`
says where: `{label}_{number}`; a `{group}` in it (a patient, a scene) is never divided between splits.  Equal images
never stand in two splits: the copy in the test set stays.  All images must have one size, unless `image_size` makes
them so: then the shorter side is fitted and the middle cut out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from supernet.errors import DataError, OptionError
from supernet.tasks.cache import Decoded, fingerprint, keep
from supernet.tasks.content_splits import Sample, content_digest
from supernet.tasks.data_files import identify, read_files
from supernet.tasks.file_labels import check_groups, check_pattern, give_groups, read_labels
from supernet.tasks.image_changes import CHANGES
from supernet.tasks.image_files import SUFFIXES, Form, check_same_form, decode_image, read_npz
from supernet.tasks.labelled_samples import Samples, arrange, serve
from supernet.tasks.options import limits, one_of, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from supernet.tasks.task import Task

VERSION = 1  # of everything that decides what is kept; a new one lets older caches lie
LARGEST = 4_096  # pixels of a side


def load(
    *,
    data: Path,
    image_size: int | None = None,
    channels: int | None = None,
    pattern: str | None = None,
    test_groups: Sequence[str | int] = (),
    validation_groups: Sequence[str | int] = (),
    max_samples: int | None = None,
    validation_samples: int | None = None,
    augment: str = "shift",
    cache: Path | None = None,
) -> Task:
    """The task; inputs are (channels, height, width) from -1 to 1, kept as bytes.

    `max_samples` bounds each split, `validation_samples` the one
    that every evaluation of a search reads.  `augment` is none, shift (by an eighth of a side) or shift_and_flip.
    Raises `OptionError` for options, `DataError` for data that cannot be used, naming the file.
    """
    if image_size is not None:
        whole("images", "image_size", image_size, at_least=1, at_most=LARGEST)
    if channels is not None and whole("images", "channels", channels, at_least=1, at_most=3) == 2:
        raise OptionError("images: channels must be 1, grey, or 3, red, green and blue; got 2.")
    most = limits("images", max_samples=max_samples, validation_samples=validation_samples)
    one_of("images", "augment", augment, tuple(CHANGES))
    check_pattern(pattern)
    form = Form(image_size, channels)
    groups = check_groups(test_groups=test_groups, validation_groups=validation_groups)
    arrays = data.suffix.lower() == ".npz" and data.is_file()
    if arrays and (pattern is not None or any(groups.values())):
        raise OptionError(
            f"images: {data} holds arrays, which have no names for `pattern`, `test_groups` or `validation_groups` to "
            "read; leave these out, and give x_validation and x_test where the splits matter."
        )

    def make() -> Decoded:
        return arrange(_from_arrays(data, form) if arrays else _from_files(data, form, pattern, groups))

    key = {
        "version": VERSION,
        "source": fingerprint(data, [data]) if arrays else identify(data, SUFFIXES),
        "form": [image_size, channels],
        "pattern": pattern,
        "groups": groups,
    }
    decoded = keep(make, cache=cache, name="images", key=key)
    return replace(serve("images", decoded, most, to_unit_range), augment=CHANGES[augment])


def to_unit_range(images: Tensor) -> Tensor:
    """Bytes as numbers from -1, black, to 1, white."""
    return images.float().div(127.5).sub(1)


def _from_files(data: Path, form: Form, pattern: str | None, groups: dict[str, list[str]]) -> Samples:
    paths, images = [], []
    for path, content in read_files(data, SUFFIXES):
        paths.append(path)
        images.append(decode_image(str(path), content, form))
    labels = give_groups(read_labels(paths, pattern), groups)
    check_same_form(images, [str(path) for path in paths], form)
    decisive = [
        Sample(label.label, content_digest(image), label.group, label.split)
        for label, image in zip(labels, images, strict=True)
    ]
    return Samples(images, decisive)


def _from_arrays(data: Path, form: Form) -> Samples:
    samples = Samples()
    for split, images, labels in read_npz(data, form):
        if samples.arrays and images.shape[1:] != samples.arrays[0].shape:
            raise DataError(
                f"{data} holds images of {samples.arrays[0].shape} and of {images.shape[1:]}; make them alike."
            )
        samples.arrays.extend(images)
        samples.decisive.extend(
            Sample(str(label), content_digest(image), split=split)
            for image, label in zip(images, labels.tolist(), strict=True)
        )
    if len(names := {sample.label for sample in samples.decisive}) == 1:
        raise DataError(f"all images of {data} have the label {names.pop()}; a classifier needs two classes at least.")
    return samples
