"""A folder that appears whole or not at all: where a bundle is written until it is complete.

Owns the hidden folder beside the final one, its lock, how it takes the final one's place, and what a process that was
killed left of it.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from supernet.errors import BundleError
from supernet.export.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEW, _OLD, _LOCK = "new", "old", "lock"  # within the hidden folder


@contextmanager
def drafting(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `folder` if the block ends without an error.

    `folder` may be new, empty or an older bundle; whatever happens, it is the old one or the new one.  What processes
    that were killed left beside it is removed first.  Raises `BundleError` where it holds anything else, or where the
    place cannot be written.
    """
    folder = folder.resolve()
    with refused_by_the_disk(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(folder)
        refuse_foreign(folder)
        scratch = tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent)
    place = folder.parent / scratch
    try:
        with refused_by_the_disk(folder.parent):
            lock = _lock(place)
        assert lock is not None, "somebody else has this folder, whose name was just drawn"
        with lock:
            with refused_by_the_disk(folder.parent):
                (place / _NEW).mkdir()
            yield place / _NEW
            with refused_by_the_disk(folder):
                _replace(folder, place)
    finally:
        if folder.exists() or not (place / _OLD).exists():  # else the old one is put back by the next export
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def refused_by_the_disk(what: Path | str) -> Iterator[None]:
    """Turns a failure to write into `BundleError`."""
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"cannot write {what}: {error.strerror or error}; free space or fix the permissions, then export again."
        ) from error


def refuse_foreign(folder: Path) -> None:
    """Raise `BundleError` where a bundle may not be written: into anything but a new folder or an older bundle.

    A manifest.json alone does not make one: many other programs write such a file too.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BundleError(f"{folder} is a file; give a folder that is new or empty.")
    found = {path.name for path in folder.iterdir()}
    if not found:
        return
    remedy = "give another folder, or empty this one"
    try:
        known = {MANIFEST, *read_manifest(folder)["files"]}
    except BundleError as error:
        raise BundleError(f"{folder} holds something else than a readable bundle; {remedy}. ({error})") from error
    if found - known:
        raise BundleError(f"{folder} holds {min(found - known)!r}, which belongs to no bundle; {remedy}.")


def _prefix(folder: Path) -> str:
    return f".{folder.name}.supernaut-"


def _clear_abandoned(folder: Path) -> None:
    """Remove the hidden folders of processes that are gone; put back an older bundle that was on its way out."""
    for place in list(folder.parent.iterdir()):
        if not place.name.startswith(_prefix(folder)) or place.is_symlink() or not place.is_dir():
            continue
        lock = _lock(place)
        if lock is None:  # somebody writes to it now
            continue
        with lock:
            if (place / _OLD).exists() and not folder.exists():
                (place / _OLD).rename(folder)
            shutil.rmtree(place, ignore_errors=True)


def _lock(place: Path) -> IO[str] | None:
    """The lock of a hidden folder, which the system releases however its holder ends; None where it is held."""
    file = (place / _LOCK).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file


def _replace(folder: Path, place: Path) -> None:
    """Put the new folder in the place of `folder`; an older bundle there waits until that is done."""
    new, old = place / _NEW, place / _OLD
    for path in new.iterdir():
        path.chmod(0o644)  # safetensors would keep its file to this user
    new.chmod(0o755)
    if not folder.exists():
        new.rename(folder)
        return
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
