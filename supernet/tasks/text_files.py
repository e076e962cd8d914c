"""Files of text: which there are, and their bytes, checked to be text in UTF-8."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import TYPE_CHECKING

from supernet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection


def text_files(source: Path, suffix: str = "", without: Collection[str] = ()) -> list[Path]:
    """`source` itself, or the files below it in an order that no file system decides.

    Hidden ones are left out, and those that do not end in `suffix` or lie in a folder that is named in `without`.
    Raises `DataError` where none is left.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"there is no file or folder {source}; name one that exists.")
    files: list[Path] = []
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in without]
        files += [Path(folder, name) for name in names if not name.startswith(".") and name.endswith(suffix)]
    found = sorted((path for path in files if path.is_file()), key=lambda path: path.relative_to(source).parts)
    if not found:
        raise DataError(f"the folder {source} holds no file{suffix and f' that ends in {suffix}'}; put text into it.")
    return found


def read_text(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file, or its first `most` ones.

    Raises `DataError` where they cannot be read, or are no UTF-8 text, naming the line and the byte; an unfinished
    character where the reading was cut is no fault.
    """
    try:
        with path.open("rb") as file:
            content = file.read(-1 if most is None else most)
            whole = not file.read(1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=whole)
    except UnicodeDecodeError as error:
        raise _not_text(path, content, error.start) from error
    if b"\0" in content:
        raise _not_text(path, content, content.index(b"\0"))
    return content


def _not_text(path: Path, content: bytes, offset: int) -> DataError:
    line = content.count(b"\n", 0, offset) + 1
    return DataError(
        f"{path} is not text in UTF-8: byte {offset:,}, in line {line:,}, is 0x{content[offset]:02x}. Convert the "
        "file to UTF-8, or leave it out."
    )
