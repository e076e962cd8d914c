"""Labelled text: the class of each text in a CSV, TSV or JSONL file, or in a folder of files for each split.

A text is read byte by byte: identifiers 1 to 256 are its bytes plus 1, 0 fills up to `length`; what is longer is cut.
Runs of white space count as one space.  In a folder, the file with `train` in its name is divided for those of `dev`
or `validation` and `test` that are missing.  Texts that a network could not tell apart, or only by upper and lower
case, never stand in two splits: of those in several given files, the copy in the test set stays, then that in the
validation set.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import torch

from supernet.errors import DataError, OptionError
from supernet.tasks.content_splits import Sample, choose, split_rows
from supernet.tasks.file_labels import SPLIT_WORDS, class_order
from supernet.tasks.labelled_rows import SUFFIXES, Columns, Row, read_rows
from supernet.tasks.options import affordable, limits, whole
from supernet.tasks.task import PADDING, Split, Task
from supernet.tasks.text_files import text_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

VOCABULARY = 257


def load(
    *,
    data: Path,
    text: str | int | None = None,
    label: str | int = "label",
    length: int = 128,
    max_samples: int | None = None,
    validation_samples: int | None = None,
) -> Task:
    """The task; inputs are (length,) identifiers below 257.

    `text` and `label` name the columns, or number them, from 0, in files without a header; text may be left out where
    it is called "text" or is the only other column.  `max_samples` bounds each split, `validation_samples` the one
    that every evaluation of a search reads.  The facts say which share of
    the texts was cut, and how many copies were left out.  Raises `OptionError` for options, `DataError` for data that
    cannot be used, naming the file and the line.
    """
    columns = _columns(text, label)
    whole("labelled_text", "length", length, at_least=1)
    most = limits("labelled_text", max_samples=max_samples, validation_samples=validation_samples)
    rows: list[Row] = []
    samples: list[Sample] = []
    texts: list[bytes] = []
    for split, path in _files(data).items():
        for row in read_rows(path, columns):
            rows.append(row)
            texts.append(row.text.encode())
            samples.append(Sample(row.label, _content(texts[-1][:length]), split=split))
    classes = class_order({row.label for row in rows})
    if len(classes) < 2:
        raise DataError(f"{data} holds one class only, {classes[0]!r}; give texts of two at least.")
    affordable("labelled_text", len(texts), length)
    chosen = split_rows(samples)
    target_of = {name: number for number, name in enumerate(classes)}
    targets = np.array([target_of[row.label] for row in rows], dtype=np.int64)
    inputs = _padded(texts, length)
    splits = {name: _split(inputs, targets, kept, most[name]) for name, kept in chosen.items()}
    return Task(
        name="labelled_text",
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        classes=len(classes),
        class_names=classes,
        kind="tokens",
        vocabulary=VOCABULARY,
        facts={
            "cut_texts": sum(len(found) > length for found in texts) / len(texts),
            "copies_left_out": len(rows) - sum(map(len, chosen.values())),
        },
    )


def _columns(text: object, label: object) -> Columns:
    """The columns.  Raises `OptionError` for what is neither two names nor two numbers."""
    if isinstance(label, str) and (text is None or isinstance(text, str)):
        found = Columns(text, label)
    elif isinstance(label, str) or text is None or isinstance(text, str):
        raise OptionError(
            f"labelled_text: text and label must both be names of columns, or both numbers from 0 where the file has "
            f"no header; got {text!r} and {label!r}."
        )
    else:
        numbers = (
            whole("labelled_text", name, value, at_least=0) for name, value in (("text", text), ("label", label))
        )
        found = Columns(*numbers)
    if found.text == found.label:
        raise OptionError(f"labelled_text: text and label are the same column, {label!r}; name two.")
    return found


def _files(data: Path) -> dict[str | None, Path]:
    """The file of each split; of one file alone the split is None.  Raises `DataError`."""
    files = text_files(data)
    if data.is_dir():
        files = [path for path in files if path.suffix.lower() in SUFFIXES]
    elif data.suffix.lower() not in SUFFIXES:
        raise DataError(f"{data} must end in {', '.join(SUFFIXES)}, which says how it is to be read; rename it.")
    if len(files) == 1:
        return {None: files[0]}
    found: dict[str | None, Path] = {}
    for path in files:
        words = {SPLIT_WORDS[word] for word in re.split(r"[\W_]+", path.stem.lower()) if word in SPLIT_WORDS}
        if len(words) != 1:
            raise DataError(f"{path}: the name must say which split this is: train, dev or validation, or test.")
        split = words.pop()
        if split in found:
            raise DataError(
                f"{found[split]} and {path} are both called {split}; keep one data set in a folder, one file a split."
            )
        found[split] = path
    if "train" not in found:
        raise DataError(
            f"the folder {data} holds no data to train on; put a {', '.join(SUFFIXES)} file there with train in its "
            "name, or one file alone."
        )
    return found


def _content(text: bytes) -> str:
    """A digest of what a network sees of a text, upper and lower case being one."""
    seen = text.decode(errors="ignore").casefold()
    return hashlib.blake2b(seen.encode(), digest_size=16).hexdigest()


def _padded(texts: Sequence[bytes], length: int) -> Tensor:
    """(samples, length) identifiers, as small as they fit."""
    # No text holds a byte of 0, so that those in the block are padding.
    block = b"".join(found[:length].ljust(length, b"\0") for found in texts)
    found = np.frombuffer(block, dtype=np.uint8).reshape(-1, length)
    return torch.from_numpy(np.where(found == 0, PADDING, found.astype(np.int16) + 1).astype(np.int16))


def _split(inputs: Tensor, targets: NDArray[np.int64], rows: list[int], most: int | None) -> Split:
    kept = np.array(rows)
    if most is not None and most < len(kept):
        kept = kept[choose(targets[kept], most)]
    return Split(inputs[torch.from_numpy(kept)], torch.from_numpy(targets[kept]), prepare=_as_identifiers)


def _as_identifiers(inputs: Tensor) -> Tensor:
    return inputs.long()
