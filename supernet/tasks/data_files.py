"""Files of a data set, in a folder or in a tar archive.

Owns where their bytes come from.  An archive is read from beginning to end in memory: nothing of it is ever written
to the disk, so the names inside cannot reach anything.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self, cast

from supernet.errors import DataError
from supernet.tasks.cache import fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
CHUNK = 2**20  # bytes read at a time


def identify(source: Path, suffixes: Collection[str]) -> str:
    """A digest that changes when the files of `source` do, made without reading them.

    Raises `DataError` where the source is absent or neither a folder nor an archive.
    """
    return fingerprint(source, list(_walk(source, suffixes)) if _is_folder(source) else [source])


def read_files(source: Path, suffixes: Collection[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Path below the source and content of every file that ends in one of `suffixes`, in the order of the source.

    Hidden files are left out.  Raises `DataError` where there is none, or where the source cannot be read.
    """
    files = _of_folder(source, suffixes) if _is_folder(source) else _of_archive(source, suffixes)
    found = False
    for name, content in files:
        found = True
        yield name, content
    if not found:
        raise DataError(f"{source} holds no file that ends in {_listed(suffixes)}; put some there or name other data.")


def _is_folder(source: Path) -> bool:
    if not source.exists():
        raise DataError(f"there is no {source}; name a folder or a tar archive that exists.")
    if source.is_dir():
        return True
    if not source.name.lower().endswith(ARCHIVES):
        raise DataError(f"{source} is neither a folder nor an archive ({_listed(ARCHIVES)}).")
    return False


def _of_folder(source: Path, suffixes: Collection[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    for path in _walk(source, suffixes):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        yield PurePosixPath(path.relative_to(source).as_posix()), content


def _of_archive(source: Path, suffixes: Collection[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    try:
        with _decompressed(source) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                file = archive.extractfile(member) if member.isfile() and _wanted(path, suffixes) else None
                if file is not None:
                    yield path, file.read()
            while stream.read(CHUNK):  # on to the end, where the decompressor compares its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise DataError(f"the archive {source} is damaged or incomplete: {error}.  Fetch or make it again.") from error


def _decompressed(source: Path) -> IO[bytes]:
    """By what the file begins with.  Unlike tarfile's own streams these notice that a file was cut short."""
    with source.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(source))
    if start.startswith(b"BZh"):
        return bz2.open(source)
    if start.startswith(b"\xfd7zXZ"):
        return lzma.open(source)
    return source.open("rb")


class _Member(tarfile.TarInfo):
    """A member whose header must be sound: behind the first one tarfile takes a broken header for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the block of zeros that ends an archive
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _walk(source: Path, suffixes: Collection[str]) -> Iterator[Path]:
    """Files in an order that the file system has no say in; links to folders are followed, but never in circles."""
    entered: set[str] = set()
    for folder, folders, names in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in entered else sorted(folders)
        here = [] if real in entered else sorted(names)
        entered.add(real)
        for name in here:
            path = Path(folder, name)
            if _wanted(PurePosixPath(path.relative_to(source).as_posix()), suffixes) and path.is_file():
                yield path


def _wanted(path: PurePosixPath, suffixes: Collection[str]) -> bool:
    """macOS puts a hidden `._x.png` beside each `x.png` of an archive."""
    return path.suffix.lower() in suffixes and not any(part.startswith(".") for part in path.parts)


def _listed(suffixes: Collection[str]) -> str:
    return ", ".join(sorted(suffixes))
