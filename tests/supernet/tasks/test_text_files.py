"""Which files there are, and what is no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from supernet.errors import DataError
from supernet.tasks.text_files import read_text, text_files

if TYPE_CHECKING:
    from pathlib import Path


def test_files_come_in_one_order_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/.hidden", ".git/config", "a.txt", "a/skip/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = [path.relative_to(tmp_path).as_posix() for path in text_files(tmp_path, ".txt", {"skip"})]
    assert found == ["a/z.txt", "a.txt", "b.txt"]
    assert text_files(tmp_path / "b.txt") == [tmp_path / "b.txt"]


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file or folder .*nowhere"):
        text_files(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no file; put text into it"):
        text_files(tmp_path)
    with pytest.raises(DataError, match=r"holds no file that ends in \.py"):
        text_files(tmp_path, ".py")
    with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"one\ntwo\n\xff", r"byte 8, in line 3, is 0xff"),
        (b"one\0", r"byte 3, in line 1, is 0x00"),
        ("žluť".encode("cp1250"), r"byte 0, in line 1, is 0x9e"),
        ("ab".encode("utf-16"), r"byte 0, in line 1, is 0xff"),
        ("né".encode()[:-1], r"byte 1, in line 1, is 0xc3"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(tmp_path: Path, content: bytes, place: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=f"x is not text in UTF-8: {place}. Convert"):
        read_text(tmp_path / "x")


def test_a_cut_may_fall_into_a_character(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("né", encoding="utf-8")
    assert read_text(tmp_path / "x", most=2) == "né".encode()[:2]
    assert read_text(tmp_path / "x", most=3) == read_text(tmp_path / "x") == "né".encode()
