"""Unpacking a bundle that came over the network: nothing in it is believed before it is checked.

Names must be those of plain files side by side, sizes are limited, and the manifest must list every file with its
digest.  The folder appears whole or not at all.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from typing import TYPE_CHECKING

from runner.errors import ServerFault
from supernet.errors import BundleError
from supernet.export.drafts import drafting, refused_by_the_disk
from supernet.export.manifest import MANIFEST, check_files, lies_beside, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_FILES = 256
MAX_BYTES = 16 << 30  # of all files together
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def receive_bundle(folder: Path, fetch: Callable[[Path], None], *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack the archive that `fetch` writes to a path into `folder`, which is new, empty or an older bundle.

    Raises `ServerFault` for an archive that holds anything but a bundle, `BundleError` where `folder` cannot be
    written or holds something else, and what `fetch` raises.
    """
    with drafting(folder) as draft:
        archive = draft.parent / "bundle.zip"  # beside the draft, and gone with what is left of it
        with refused_by_the_disk(folder):
            fetch(archive)
        try:
            with zipfile.ZipFile(archive) as opened:
                for entry in _checked(opened.infolist(), max_bytes):
                    with refused_by_the_disk(folder):
                        _write(opened, entry, draft / entry.filename)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            raise ServerFault(f"what the server sent as a bundle is no sound archive: {error}.") from error
        _check_manifest(draft)


def _checked(entries: list[zipfile.ZipInfo], max_bytes: int) -> list[zipfile.ZipInfo]:
    """The entries of an archive, of which nothing was read yet."""
    if len(entries) > MAX_FILES:
        raise ServerFault(f"the bundle holds {len(entries)} files; {MAX_FILES} are allowed.")
    taken: set[str] = set()
    for entry in entries:
        name = entry.filename
        mode = entry.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if not name or not lies_beside(name) or not name.isprintable() or len(name) > 255:
            raise ServerFault(f"the bundle names {name!r}, which is no plain file of its folder: refused.")
        if entry.is_dir() or kind not in (0, stat.S_IFREG):
            raise ServerFault(f"the bundle's {name!r} is no plain file: refused.")
        if name.casefold() in taken:
            raise ServerFault(f"the bundle holds {name!r} twice: refused.")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _KNOWN:
            raise ServerFault(f"the bundle's {name!r} is packed in a way that no bundle is: refused.")
        taken.add(name.casefold())
    total = sum(entry.file_size for entry in entries)
    if total > max_bytes:
        raise ServerFault(f"the bundle unpacks to {total:,} bytes; {max_bytes:,} are allowed.")
    return entries


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Write one file; zipfile reads no more of it than the size that was checked."""
    with archive.open(entry) as packed, path.open("xb") as file:
        shutil.copyfileobj(packed, file, _CHUNK_BYTES)


def _check_manifest(draft: Path) -> None:
    try:
        manifest = read_manifest(draft)
        check_files(draft, manifest)
    except BundleError as error:
        words = str(error).replace(f"{draft}/", "").replace(str(draft), "it")  # a hidden name says nothing to anybody
        raise ServerFault(f"the bundle that came is damaged: {words}") from error
    unlisted = {path.name for path in draft.iterdir()} - {MANIFEST, *manifest["files"]}
    if unlisted:
        raise ServerFault(f"the bundle holds {min(unlisted)!r}, which its manifest does not list: refused.")
