"""Files from folders and archives: the same either way, nothing written, damage named."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from supernet.errors import DataError
from supernet.tasks.data_files import identify, read_files
from tests.supernet.tasks.pictures import write_archive, write_folder

FILES = {"a/1.png": b"one", "a/2.PNG": b"two" * 5_000, "b/c/3.png": b"three"}
OTHERS = {"a/.hidden.png": b"x", ".git/4.png": b"x", "a/notes.txt": b"x", "__MACOSX/._1.png": b"x"}


def read(source: Path) -> dict[str, bytes]:
    return {str(path): content for path, content in read_files(source, (".png",))}


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz", "data.tar.bz2", "data.tar.xz"])
def test_an_archive_holds_what_its_folder_holds(tmp_path: Path, name: str) -> None:
    assert read(write_folder(tmp_path / "folder", FILES | OTHERS)) == FILES
    assert read(write_archive(tmp_path / name, FILES | OTHERS)) == FILES


def test_members_that_are_no_files_are_left_out_and_nothing_is_written(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "data.tar", {"../../escaped.png": b"x", "/tmp/escaped.png": b"y"} | FILES)
    with tarfile.open(archive, "a") as file:
        for kind in (tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo(f"special{kind!r}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            file.addfile(member)
    before = sorted(tmp_path.parent.rglob("*"))
    assert FILES.items() <= read(archive).items()
    assert not any("special" in name for name in read(archive))
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", {"5.png": b"five"})
    folder = write_folder(tmp_path / "data", FILES)
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "a" / "circle").symlink_to(folder, target_is_directory=True)
    (folder / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert read(folder) == FILES | {"linked/5.png": b"five"}


def test_what_is_missing_empty_or_of_another_kind_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*nowhere; name a folder or a tar archive"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"there is no .*nowhere"):
        identify(tmp_path / "nowhere", (".png",))
    with pytest.raises(DataError, match=r"holds no file that ends in \.png"):
        read(write_folder(tmp_path / "other", OTHERS))
    with pytest.raises(DataError, match=r"holds no file that ends in \.png"):
        read(write_archive(tmp_path / "other.tar.gz", OTHERS))
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"data\.zip is neither a folder nor an archive \(\.tar, "):
        read(tmp_path / "data.zip")


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz", "data.tar.bz2", "data.tar.xz"])
def test_an_archive_that_was_cut_or_changed_is_named(tmp_path: Path, name: str) -> None:
    """Wherever that was: what is left of it is never taken for all of it."""
    files = {f"a/{i}.png": os.urandom(1_000) for i in range(8)}  # members of 1,536 bytes with their headers
    content = write_archive(tmp_path / name, files).read_bytes()
    cuts = [0, 100, 1_536, 1_536 + 512, 3_000, 6_000]
    broken = [content[:cut] for cut in cuts] + [b"this is no archive" * 100]
    if name == "data.tar":
        broken += [content[: 8 * 1_536], content[:1_600] + b"x" + content[1_601:]]
    else:
        broken += [content[:-2], content[:4_000] + bytes([content[4_000] ^ 255]) + content[4_001:]]
    for damaged in broken:
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DataError, match=rf"the archive .*{name} is damaged or incomplete: "):
            read(tmp_path / name)


def test_the_identity_changes_with_the_files_that_are_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", FILES)
    first = identify(folder, (".png",))
    write_folder(folder, OTHERS)
    assert identify(folder, (".png",)) == first
    write_folder(folder, {"b/new.png": b"x"})
    assert identify(folder, (".png",)) != first
    archive = write_archive(tmp_path / "data.tar", FILES)
    before = identify(archive, (".png",))
    os.utime(archive, (1, 1))
    assert identify(archive, (".png",)) != before
