"""Blobs: by the digest of their content, whole or not there, in a folder and in an object store."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.store import Blobs, DamagedBlob, InvalidRecord, NotRecorded, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256)) * 5000  # more than one piece
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """fsspec's store in memory stands for those that are no local disk."""
    if request.param == "folder":
        yield str(tmp_path / "state" / "artifacts")
    else:
        yield f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def blobs(url: str) -> Blobs:
    return Blobs(url)


def test_what_is_put_is_found_by_its_digest(blobs: Blobs, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert not blobs.exists(DIGEST)
    assert blobs.put_file(path) == blobs.put_bytes(CONTENT) == DIGEST
    assert blobs.exists(DIGEST)
    assert blobs.size(DIGEST) == len(CONTENT)
    assert blobs.read_bytes(DIGEST) == CONTENT
    blobs.copy_to(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT
    with blobs.open(DIGEST) as file:
        file.seek(1000)
        assert file.read(7) == CONTENT[1000:1007]
    assert blobs.put_bytes(b"") == hashlib.sha256(b"").hexdigest()


def test_another_process_finds_it(tmp_path: Path) -> None:
    digest = Blobs(tmp_path).put_bytes(CONTENT)
    assert Blobs(f"file://{tmp_path}").read_bytes(digest) == CONTENT


def test_it_is_removed_once(blobs: Blobs) -> None:
    digest = blobs.put_bytes(b"content")
    assert blobs.delete(digest) is True
    assert blobs.delete(digest) is False
    for call in (blobs.open, blobs.size, blobs.read_bytes):
        with pytest.raises(NotRecorded, match=f"no blob {digest}"):
            call(digest)


@pytest.mark.parametrize("name", ["", "x" * 64, "A" * 64, "../" * 21 + "a", "0" * 63, "0" * 64 + "\n"])
def test_only_a_digest_names_a_blob(blobs: Blobs, name: str) -> None:
    for call in (blobs.open, blobs.exists, blobs.delete, blobs.size):
        with pytest.raises(InvalidRecord, match="64 hexadecimal digits"):
            call(name)


def test_a_damaged_one_is_told_from_a_whole_one(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "artifacts")
    digest = blobs.put_bytes(CONTENT)
    (path,) = (tmp_path / "artifacts" / "sha256" / digest[:2]).iterdir()
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DamagedBlob, match=digest):
        blobs.read_bytes(digest)
    with pytest.raises(DamagedBlob):
        blobs.copy_to(digest, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_file_that_exists_is_not_overwritten(blobs: Blobs, tmp_path: Path) -> None:
    digest = blobs.put_bytes(CONTENT)
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        blobs.copy_to(digest, tmp_path / "mine")
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"


def test_only_its_user_may_read_a_local_one(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    Blobs(root).put_bytes(CONTENT)
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_disk_that_is_full_leaves_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_given: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    blobs = Blobs(tmp_path / "artifacts")
    if step == "write":
        monkeypatch.setattr("runner.store.blobs.os.fdopen", full)
    elif step == "fsync":
        monkeypatch.setattr("runner.store.blobs.os.fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreUnavailable, match=r"No space left on device; free some space"):
        blobs.put_bytes(CONTENT)
    assert not blobs.exists(DIGEST)
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert blobs.put_bytes(CONTENT) == DIGEST


def test_threads_that_put_the_same_make_one(tmp_path: Path) -> None:
    blobs, found = Blobs(tmp_path / "artifacts"), []
    threads = [threading.Thread(target=lambda: found.append(blobs.put_bytes(CONTENT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DIGEST] * 8
    assert len([path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]) == 1


def test_a_store_that_is_not_known_is_refused_without_its_password() -> None:
    with pytest.raises(StoreUnavailable, match="SUPERNAUT_ARTIFACTS_URL=nosuch://bucket") as refused:
        Blobs("nosuch://key:secret@bucket/folder")
    assert "secret" not in str(refused.value)


def test_fsspec_is_imported_only_when_a_store_is_opened() -> None:
    program = "import sys; from runner.store import Blobs; assert 'fsspec' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])
