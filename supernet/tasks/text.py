"""Text, byte by byte: predict the next byte of a file or of a folder's files; by default Python's own sources.

Inputs are windows of `length` bytes, which are their own identifiers; the targets are the bytes that follow each.
Files stand behind each other, with a byte of 0, which no text contains, after each.  The splits are whole files where
there are enough of them, else the first 90 %, the next 5 % and the last 5 % of the text; no window reaches from one
split into another, equal files count once, and a window held out for validation or test is left out where it stands,
byte for byte, in an earlier split.
"""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from supernet.errors import DataError
from supernet.tasks.language import LANGUAGE_METRICS, score_language
from supernet.tasks.options import whole
from supernet.tasks.task import Split, Task
from supernet.tasks.text_files import read_text, text_files

if TYPE_CHECKING:
    from torch import Tensor

BYTES = 256
END = b"\0"  # after each file
HELD_OUT = 20  # validation and test are each one part in so many
ENOUGH_FILES = 20  # to make splits of whole files
SOURCES_BYTES = 2_000_000  # of Python's library, where `max_bytes` does not say otherwise
LARGEST_BYTES = 50_000_000  # that are read unasked; in memory a byte of text takes nine
NOT_SOURCES = frozenset({"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test"})


def load(
    *,
    data: Path | None = None,
    length: int = 128,
    stride: int | None = None,
    validation_windows: int = 256,
    max_bytes: int | None = None,
) -> Task:
    """The task; inputs are (length,) bytes as int64 identifiers, targets the (length,) bytes one further.

    Training windows begin every `stride` bytes, by default a quarter of `length`.  Validation and test are at most
    `validation_windows` windows each, spread evenly and apart.  `max_bytes` cuts the text, which without `data` is
    2 MB long.  Raises `DataError` for what is missing, empty, too short or no text, `OptionError` for a wrong option.
    """
    whole("text", "length", length, at_least=2)
    whole("text", "validation_windows", validation_windows, at_least=1)
    if stride is None:
        stride = max(1, length // 4)
    whole("text", "stride", stride, at_least=1)
    if max_bytes is not None:
        whole("text", "max_bytes", max_bytes, at_least=1)
    if data is None:
        source = Path(sysconfig.get_path("stdlib"))
        documents = _read(text_files(source, ".py", NOT_SOURCES), max_bytes or SOURCES_BYTES)
    else:
        source = data
        documents = _read(_affordable(text_files(source), max_bytes), max_bytes)
    if not documents:
        raise DataError(f"{source} is empty; give it text.")
    train, validation, test = _parts(documents)
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        if len(part) <= length:
            raise DataError(
                f"{source} is too short: {sum(map(len, documents)):,} bytes of text leave {len(part):,} for {name}, "
                f"which needs one window and the byte behind it, {length + 1:,}. Give at least "
                f"{HELD_OUT * (length + 1):,} bytes, or lower length."
            )
    return Task(
        name="text",
        train=_windows(train, length, stride),
        validation=_held_out(validation, length, validation_windows, f"the validation part of {source}", train),
        test=_held_out(test, length, validation_windows, f"the test part of {source}", train, validation),
        classes=BYTES,
        kind="tokens",
        vocabulary=BYTES,
        per_position=True,
        measure=score_language,
        metrics=LANGUAGE_METRICS,
    )


def _affordable(files: list[Path], max_bytes: int | None) -> list[Path]:
    """`files`, where they may all be read.  Raises `DataError`."""
    total = sum(path.stat().st_size for path in files)
    if max_bytes is None and total > LARGEST_BYTES:
        raise DataError(
            f"{total:,} bytes of text are more than the {LARGEST_BYTES:,} that are read unasked; say with max_bytes "
            "how many of them to read."
        )
    return files


def _read(files: list[Path], max_bytes: int | None) -> list[bytes]:
    """The different texts of the files, in their order, none of them empty, the last one cut where it is too much."""
    texts: dict[bytes, None] = {}
    left = max_bytes
    for path in files:
        text = read_text(path, left)
        if text and text not in texts:
            texts[text] = None
            left = None if left is None else left - len(text)
        if left == 0:
            break
    return list(texts)


def _parts(documents: list[bytes]) -> tuple[bytes, bytes, bytes]:
    """The text of train, validation and test."""
    share = sum(map(len, documents)) // HELD_OUT
    if len(documents) >= ENOUGH_FILES:
        destination = _deal(documents, share)
        parts = [b"".join(text + END for text in documents if destination[text] == part) for part in range(3)]
        if min(map(len, parts)) >= share:
            return parts[0], parts[1], parts[2]
    # Few files, or nearly everything in one of them.
    stream = b"".join(text + END for text in documents)
    first, second = len(stream) - 2 * share, len(stream) - share
    return stream[:first], stream[first:second], stream[second:]


def _deal(documents: list[bytes], share: int) -> dict[bytes, int]:
    """Which part (0 train, 1 validation, 2 test) each file belongs to, by its content alone.

    Files no longer than a share fill validation, then test, up to a share each, in the order of their digests.
    """
    destination = dict.fromkeys(documents, 0)
    small = sorted((text for text in documents if len(text) <= share), key=lambda text: hashlib.sha256(text).digest())
    part, filled = 1, 0
    for text in small:
        destination[text] = part
        filled += len(text)
        if filled >= share:
            part, filled = part + 1, 0
        if part > 2:
            break
    return destination


def _windows(text: bytes, length: int, stride: int) -> Split:
    """All windows of a text: views into one copy of its bytes, which one window shares with the next."""
    stream = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    inputs, targets = stream[:-1].unfold(0, length, stride), stream[1:].long().unfold(0, length, stride)
    return Split(inputs, targets, prepare=_as_identifiers)


def _held_out(text: bytes, length: int, most: int, source: str, *earlier: bytes) -> Split:
    """At most `most` windows, spread evenly, that stand in none of the earlier texts.  Raises `DataError`."""
    windows = _windows(text, length, length)
    count = min(most, len(windows))
    rows = [i * len(windows) // count for i in range(count)]
    kept = [row for row in rows if not any(text[row * length : (row + 1) * length + 1] in part for part in earlier)]
    if not kept:
        raise DataError(
            f"{source} repeats what stands before it: each of its windows of {length} bytes does. Give text that does "
            "not repeat itself, or raise length."
        )
    return Split(windows.inputs[kept], windows.targets[kept], prepare=_as_identifiers)


def _as_identifiers(inputs: Tensor) -> Tensor:
    return inputs.long()
