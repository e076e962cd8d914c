"""Text: windows and the bytes behind them, splits that share nothing, and what is refused."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import torch

from supernet.errors import DataError, OptionError
from supernet.tasks import text

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.tasks.task import Split

GOLDEN = "056b884ee96ffc971d6ebb5d03a3fa74bdd31827eafe60cd2b35b8a17cca12eb"


def prose(size: int, seed: int = 0) -> bytes:
    """Text that does not repeat itself."""
    rng = random.Random(seed)
    return bytes(rng.choices(b"abcdefgh \n", k=size))


def windows(split: Split) -> list[bytes]:
    """Each window with the byte behind it."""
    return [
        bytes([*inputs.tolist(), targets.tolist()[-1]])
        for inputs, targets in zip(split.inputs, split.targets, strict=True)
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "prose.txt").write_bytes(prose(10_000))
    return tmp_path / "prose.txt"


def test_without_data_it_reads_the_sources_of_this_python() -> None:
    task = text.load()
    assert (task.kind, task.vocabulary, task.classes, task.per_position) == ("tokens", 256, 256, True)
    assert (task.input_shape, task.main_metric) == ((128,), "perplexity")
    assert 1_500_000 < task.train.inputs.untyped_storage().nbytes() < 2_000_000
    assert min(len(task.validation), len(task.test)) > 200
    assert b"import" in bytes(task.train.inputs[:200].flatten().tolist())


def test_targets_are_the_next_bytes(file: Path) -> None:
    task = text.load(data=file, length=16, stride=5)
    stream = file.read_bytes() + b"\0"
    for split in (task.train, task.validation, task.test):
        inputs, targets = split.read(torch.arange(len(split)))
        assert inputs.dtype == targets.dtype == torch.int64
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert all(window in stream for window in windows(split))
    assert windows(task.train)[3] == stream[15:32]


def test_a_file_is_cut_into_blocks_that_no_window_crosses(file: Path) -> None:
    task = text.load(data=file, length=16)
    stream = file.read_bytes() + b"\0"
    blocks = stream[:9001], stream[9001:9501], stream[9501:]
    for split, block in zip((task.train, task.validation, task.test), blocks, strict=True):
        assert all(window in block for window in windows(split))
    assert (len(task.train), len(task.validation), len(task.test)) == ((9001 - 17) // 4 + 1, 31, 31)


def test_held_out_windows_are_few_and_spread_evenly(file: Path) -> None:
    task = text.load(data=file, length=16, validation_windows=5)
    block = (file.read_bytes() + b"\0")[9001:9501]
    assert [block.index(window) for window in windows(task.validation)] == [0, 96, 192, 288, 384]
    assert len(task.test) == 5


def test_a_folder_of_enough_files_is_split_by_file(tmp_path: Path) -> None:
    files = [prose(900 + 5 * i, seed=i) for i in range(40)]
    for i, content in enumerate(files):
        (tmp_path / f"{i}.txt").write_bytes(content)
    task = text.load(data=tmp_path, length=16, stride=1, validation_windows=10_000)
    train = bytes(torch.cat((task.train.inputs[:, 0], task.train.inputs[-1, 1:])).tolist())
    held_out = [b"".join(window[:16] for window in windows(split)) for split in (task.validation, task.test)]
    # Windows do not reach to the very end of a split: the last bytes of a file are looked for where they are whole.
    owners = [[content[20:-20] in part for part in (train, *held_out)] for content in files]
    assert all(sum(owner) == 1 for owner in owners)
    assert [sum(owner[part] for owner in owners) for part in range(3)] == [34, 3, 3]


def test_one_file_that_is_nearly_everything_is_cut(tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_bytes(prose(20_000, seed=99))
    for i in range(40):
        (tmp_path / f"{i}.txt").write_bytes(prose(20, seed=i))
    task = text.load(data=tmp_path, length=16)
    assert min(len(task.validation), len(task.test)) > 50


def test_equal_files_count_once(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}.txt").write_bytes(prose(1_000, seed=i))
    alone = text.load(data=tmp_path, length=16).checksum()
    for i in range(40):
        (tmp_path / f"{i}_copy.txt").write_bytes(prose(1_000, seed=i))
    assert text.load(data=tmp_path, length=16).checksum() == alone


def test_windows_that_stand_in_an_earlier_split_are_left_out(tmp_path: Path) -> None:
    passage = prose(400, seed=1)
    (tmp_path / "x").write_bytes(prose(4_000) + passage + prose(4_600, seed=2) + passage + prose(600, seed=3))
    task = text.load(data=tmp_path / "x", length=16)
    train, validation = (tmp_path / "x").read_bytes()[:9001], (tmp_path / "x").read_bytes()[9001:9501]
    assert passage[100:300] in train
    assert passage[100:300] in validation
    assert 0 < len(task.validation) < 10
    assert not any(window in train for window in windows(task.validation))
    assert not any(window in train + validation for window in windows(task.test))


def test_the_data_depend_on_the_files_alone(file: Path) -> None:
    assert text.load(data=file, length=16).checksum() == GOLDEN


def test_max_bytes_cuts_the_text(file: Path) -> None:
    copy = file.with_name("copy.txt")
    copy.write_bytes(file.read_bytes()[:5_000])
    assert text.load(data=file, length=16, max_bytes=5_000).checksum() == text.load(data=copy, length=16).checksum()


def test_bad_data_is_refused(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "again.txt").write_bytes(b"again and " * 1_000)
    (tmp_path / "image.png").write_bytes(b"some\n\x89PNG")
    for name, message in (
        ("nowhere.txt", r"there is no file or folder .*nowhere\.txt"),
        ("empty.txt", r"empty\.txt is empty; give it text"),
        ("image.png", r"image\.png is not text in UTF-8: byte 5, in line 2, is 0x89"),
        ("again.txt", r"the validation part of .*again\.txt repeats what stands before it"),
    ):
        with pytest.raises(DataError, match=message):
            text.load(data=tmp_path / name, length=16)
    with pytest.raises(DataError, match=r"too short: 10,000 bytes .* leave 500 for validation.*at least 10,020 bytes"):
        text.load(data=file, length=500)
    monkeypatch.setattr(text, "LARGEST_BYTES", 9_999)
    with pytest.raises(DataError, match=r"10,000 bytes of text are more than the 9,999.*max_bytes"):
        text.load(data=file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 1}, r"length must be a whole number of at least 2; got 1"),
        ({"length": "64"}, r"length must be a whole number"),
        ({"stride": 0}, r"stride must be"),
        ({"validation_windows": 0}, r"validation_windows must be"),
        ({"max_bytes": 2.5}, r"max_bytes must be"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=f"^text: {message}"):
        text.load(**options)  # type: ignore[arg-type]
