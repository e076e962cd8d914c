"""Files by the digest of their content, in a folder or in an object store.  It owns where they lie and that they are
whole; the rows that name them are in artifacts.py.

A blob is written once and never changed: under another name first, on a local disk until it is really there, then
under its own.  So a name that exists is a file that is complete, and two who write the same do each other no harm.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from runner.store.errors import DamagedBlob, InvalidRecord, NotRecorded, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "SUPERNAUT_ARTIFACTS_URL"
SCHEME = "sha256:"  # an artifact whose uri begins like this is a blob

_PIECE_BYTES = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")


class Blobs:
    """The blobs at a URL that fsspec knows, such as `s3://bucket/supernaut`, or in a local folder, by its path.

    The keys to an object store are taken from where its own tools find them, never from the URL.
    """

    def __init__(self, url: str | Path) -> None:
        import fsspec  # object stores are few people's concern, and it takes a while

        try:
            self._files, root = fsspec.core.url_to_fs(str(url))
        except (ImportError, ValueError) as error:
            raise StoreUnavailable(
                f"{VARIABLE}={_shown(str(url))}: {error}; give a folder, or the URL of an object store whose "
                "package for fsspec is installed"
            ) from error
        self._root = str(root).rstrip("/")
        self._local = "file" in _protocols(self._files)
        self.place = _shown(str(url))

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file; return its digest."""
        with path.open("rb") as source:
            return self._put(source)

    def put_bytes(self, content: bytes) -> str:
        """Keep these bytes; return their digest."""
        return self._put(io.BytesIO(content))

    def open(self, sha256: str) -> BinaryIO:
        """A blob as a file that can be read from any place.  Raises NotRecorded where there is none."""
        path = self._path(sha256)
        with self._translated():
            self._require(sha256)
            return cast(BinaryIO, self._files.open(path, "rb"))

    def read_bytes(self, sha256: str) -> bytes:
        """A whole blob, its digest checked.  Raises NotRecorded or DamagedBlob."""
        with self.open(sha256) as file, self._translated():
            content = file.read()
        _check(hashlib.sha256(content).hexdigest(), sha256, self.place)
        return content

    def copy_to(self, sha256: str, path: Path) -> None:
        """Write a whole blob to a new file, its digest checked.  Raises NotRecorded or DamagedBlob."""
        digest = hashlib.sha256()
        try:
            with self.open(sha256) as source, path.open("xb") as target:
                while piece := source.read(_PIECE_BYTES):
                    digest.update(piece)
                    target.write(piece)
            _check(digest.hexdigest(), sha256, self.place)
        except FileExistsError:
            raise
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def size(self, sha256: str) -> int:
        """The length of a blob in bytes.  Raises NotRecorded where there is none."""
        with self._translated():
            self._require(sha256)
            return int(self._files.size(self._path(sha256)))

    def exists(self, sha256: str) -> bool:
        """Whether there is such a blob."""
        with self._translated():
            return bool(self._files.exists(self._path(sha256)))

    def delete(self, sha256: str) -> bool:
        """Remove a blob; whether there was one.  It asks nobody who may still name it."""
        path = self._path(sha256)
        with self._translated():
            if not self._files.exists(path):
                return False
            with suppress(FileNotFoundError):  # somebody was quicker
                self._files.rm_file(path)
            return True

    def _path(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise InvalidRecord(f"a blob is named by 64 hexadecimal digits in lower case, not {sha256[:80]!r}")
        return f"{self._root}/sha256/{sha256[:2]}/{sha256[2:]}"

    def _require(self, sha256: str) -> None:
        if not self._files.exists(self._path(sha256)):
            raise NotRecorded(f"{self.place} holds no blob {sha256}; it was deleted, or never copied here")

    def _put(self, source: IO[bytes]) -> str:
        draft = f"{self._root}/sha256/drafts/{uuid.uuid4().hex}"
        digest = hashlib.sha256()
        with self._translated():
            self._make_folder(draft)
            try:
                with self._new_file(draft) as target:
                    while piece := source.read(_PIECE_BYTES):
                        digest.update(piece)
                        target.write(piece)
                    if self._local:
                        target.flush()
                        os.fsync(target.fileno())
                sha256 = digest.hexdigest()
                if not self._files.exists(self._path(sha256)):
                    self._give_name(draft, self._path(sha256))
                return sha256
            finally:
                with suppress(OSError):
                    if self._files.exists(draft):
                        self._files.rm_file(draft)

    def _new_file(self, path: str) -> Any:
        """A file to write to; a local one is for this user alone."""
        if self._local:
            return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        return self._files.open(path, "wb")

    def _give_name(self, draft: str, path: str) -> None:
        self._make_folder(path)
        if not self._local:
            self._files.mv(draft, path)  # of a name that is taken meanwhile, the content is the same
            return
        Path(draft).replace(path)
        folder = os.open(Path(path).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _make_folder(self, path: str) -> None:
        if self._local:
            for folder in reversed([each for each in Path(path).parents if not each.exists()]):
                folder.mkdir(mode=0o700, exist_ok=True)
        else:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"{self.place}: artifacts cannot be read or written here: {error.strerror or error}; free some "
                "space, check that the store can be reached and that you may write to it, then repeat"
            ) from error


def _check(found: str, wanted: str, place: str) -> None:
    if found != wanted:
        raise DamagedBlob(
            f"{place}: the blob {wanted} is damaged, its content has the digest {found}; put back a copy of it, or "
            "delete it and make it again"
        )


def _protocols(files: Any) -> tuple[str, ...]:
    given = files.protocol
    return (given,) if isinstance(given, str) else tuple(given)


def _shown(url: str) -> str:
    """A URL without what might be a password."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)
