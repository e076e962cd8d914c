"""Decoded data kept on disk, so that nothing is decoded twice.

Owns the layout of a cache folder: one folder for each entry, with an .npy file for each array and a manifest of
their digests.  An entry appears whole or not at all, is checked when it is read, and is made anew where it is
damaged; two processes that make the same one do not disturb each other.  The whole folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

FORMAT = 1
MANIFEST = "manifest.json"
ABANDONED_SECONDS = 24 * 3600  # an unfinished entry this old belongs to a process that died
REPLACEMENTS = 10  # attempts to put an entry where damaged ones keep turning up


@dataclass(frozen=True)
class Decoded:
    """What a loader made of its source: arrays without Python objects, and anything that JSON can say."""

    arrays: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def keep(make: Callable[[], Decoded], *, cache: Path | None, name: str, key: Mapping[str, Any]) -> Decoded:
    """What `make` returns, from `cache` where it was kept there under the same `name` and `key`.

    `key` is all that the result depends on, as JSON: the source (`fingerprint`), the options, a version of the
    decoder.  Arrays from the cache are memory-mapped, copy on write: a change to one stays private.  With `cache`
    None everything stays in memory.  Metadata is what JSON makes of it either way.  Raises `DataError` where the
    cache cannot be written.
    """
    if cache is None:
        made = make()
        return Decoded(dict(made.arrays), json.loads(json.dumps(made.metadata)))
    content = json.dumps({"format": FORMAT, **key}, sort_keys=True)
    entry = cache / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:32]}"
    kept = _read(entry)
    if kept is not None:
        return kept
    made = make()
    try:
        return _write(entry, made)
    except OSError as error:
        raise DataError(
            f"decoded data cannot be kept in {cache}: {error}.  Make the folder writable with enough space, or choose "
            "another."
        ) from error


def fingerprint(source: Path, files: list[Path]) -> str:
    """A digest of where `source` lies and which files there are: path, size and time of the last change of each.

    Cheap, since nothing is opened; it notices every change but one that restores the size and the time.
    """
    # Archives may restore equal names, sizes and times: what tells two folders apart is then where they lie.
    digest = hashlib.sha256(f"{source.resolve()}\n".encode("utf-8", "surrogateescape"))
    for name, path in sorted((path.relative_to(source.parent).as_posix(), path) for path in files):
        status = path.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read(entry: Path) -> Decoded | None:
    """The entry, or None where it is absent, incomplete or damaged."""
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        if manifest["seal"] != _seal(manifest["arrays"], manifest["metadata"]):
            return None
        arrays = {name: _open(entry, name) for name in manifest["arrays"]}
        if any(manifest["arrays"][name] != _digest(array) for name, array in arrays.items()):
            return None
    except (OSError, ValueError, EOFError, LookupError, TypeError):  # whatever damage there is: it is made anew
        return None
    return Decoded(arrays, manifest["metadata"])


def _write(entry: Path, made: Decoded) -> Decoded:
    """Keep it, and return it as kept.

    The arrays are mapped before the folder gets its name, so that it no longer matters what happens to that.  Nothing
    is flushed to the disk here: what a power failure loses, the digests notice.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(entry.parent)
    folder = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", suffix=".tmp", dir=entry.parent))
    try:
        for name, array in made.arrays.items():
            np.save(folder / f"{name}.npy", np.asarray(array, order="C"), allow_pickle=False)
        arrays = {name: _open(folder, name) for name in made.arrays}
        digests = {name: _digest(array) for name, array in arrays.items()}
        metadata = json.loads(json.dumps(made.metadata))
        manifest = {"arrays": digests, "metadata": metadata, "seal": _seal(digests, metadata)}
        (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        _place(folder, entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # gone already where it became the entry
    return Decoded(arrays, metadata)


def _place(folder: Path, entry: Path) -> None:
    """Give a finished folder its name, unless another process was first with a sound one."""
    for _ in range(REPLACEMENTS):
        try:
            folder.rename(entry)
        except OSError:
            if not entry.exists():
                raise
        else:
            return
        if _read(entry) is not None:
            return
        aside = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", suffix=".tmp", dir=entry.parent))
        try:
            entry.rename(aside / "damaged")
        except FileNotFoundError:  # another process moved it first
            pass
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _remove_abandoned(cache: Path) -> None:
    for folder in cache.glob(".*.tmp"):
        try:
            old = time.time() - folder.stat().st_mtime > ABANDONED_SECONDS
        except FileNotFoundError:  # its process finished just now
            continue
        if old:
            shutil.rmtree(folder, ignore_errors=True)


def _open(folder: Path, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
    return array


def _digest(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.shape} {array.dtype.str} ".encode())
    digest.update(array.reshape(-1).view(np.uint8).data if array.size else b"")
    return digest.hexdigest()


def _seal(arrays: Mapping[str, str], metadata: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([arrays, metadata], sort_keys=True).encode()).hexdigest()
