"""Checkpoints: whole or not at all, and never trusted without their digest."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from supernet.errors import CheckpointError
from supernet.training.checkpoint import Checkpoints, write_atomically

METADATA = {"config": {"learning_rate": 0.1}, "health": [[1, {"largest": 0.25}]]}


def tensors(value: float = 1.0) -> dict[str, Tensor]:
    return {"model.weight": torch.full((3, 4), value), "optimizer.step": torch.tensor(value)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    saved = {
        "half": torch.ones(2, dtype=torch.bfloat16),
        "count": torch.tensor(3),
        "empty": torch.zeros(0, 2),
        "transposed": torch.arange(6.0).reshape(2, 3).t(),
        "view": shared[:4],
        "overlapping": shared[2:],
        "graph": torch.nn.Parameter(torch.ones(2)),
    }
    path = Checkpoints(tmp_path / "new" / "folder").save(12, saved, METADATA)
    found = Checkpoints(tmp_path / "new" / "folder").latest()
    assert found is not None
    assert (found.path, found.step, found.metadata) == (path, 12, METADATA)
    assert found.tensors.keys() == saved.keys()
    for name, tensor in saved.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_an_empty_or_missing_folder_has_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path).latest() is None
    assert Checkpoints(tmp_path / "missing").latest() is None


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 10, 15, 20):
        checkpoints.save(step, tensors(step), {})
    assert names(tmp_path) == ["step-00000015.safetensors", "step-00000020.safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "foreign"])
def test_a_damaged_checkpoint_is_passed_over_and_reported(tmp_path: Path, damage: str) -> None:
    heard: list[str] = []
    checkpoints = Checkpoints(tmp_path, on_damaged=heard.append)
    checkpoints.save(5, tensors(5), {})
    newest = checkpoints.save(10, tensors(10), {})
    content = newest.read_bytes()
    middle = len(content) - 20  # in the tensors
    damaged = {
        "truncated": content[: len(content) // 2],
        "empty": b"",
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "foreign": b"PK\x03\x04 not a checkpoint at all, whatever its name",
    }
    newest.write_bytes(damaged[damage])
    found = checkpoints.latest()
    assert found is not None
    assert found.step == 5
    assert torch.equal(found.tensors["model.weight"], tensors(5)["model.weight"])
    assert len(heard) == 1
    assert str(newest) in heard[0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, data: st.DataObject) -> None:
    """Neither in the tensors nor in the step or the metadata."""
    folder = tmp_path / "flipped"
    checkpoints = Checkpoints(folder)
    path = checkpoints.save(1_234, tensors(), METADATA)
    good = checkpoints.latest()
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        found = checkpoints.latest()
    except CheckpointError:
        return
    # Some bits of the header carry nothing: white space, the order of entries.
    assert good is not None
    assert found is not None
    assert (found.step, found.metadata) == (good.step, good.metadata)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in good.tensors.items())


def test_if_all_are_damaged_it_says_so(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 10):
        checkpoints.save(step, tensors(step), {}).write_bytes(b"damaged")
    for step in (5, 10):
        (tmp_path / f"step-{step:08d}.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"all checkpoints in .* are damaged.*Delete them"):
        checkpoints.latest()


def test_a_damaged_later_one_does_not_crowd_out_good_ones(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, tensors(5), {})
    checkpoints.save(20, tensors(20), {}).write_bytes(b"damaged")
    checkpoints.save(10, tensors(10), {})
    assert names(tmp_path) == ["step-00000005.safetensors", "step-00000010.safetensors"]


def test_a_crash_before_the_rename_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, tensors(5), {})
    before = names(tmp_path)

    def crash(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(10, tensors(10), {})
    assert names(tmp_path) == before
    found = checkpoints.latest()
    assert found is not None
    assert found.step == 5


def test_what_a_killed_process_left_is_ignored_and_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    left = tmp_path / ".step-00000099.safetensors.4242.tmp"
    left.write_bytes(b"half of a checkpoint")
    assert checkpoints.latest() is None
    checkpoints.save(5, tensors(), {})
    assert names(tmp_path) == ["step-00000005.safetensors"]


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_full_disk_ends_in_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, tensors(5), {})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync", full), "open": (Path, "open", full)}[call])
        with pytest.raises(CheckpointError, match=r"No space left.*free space"):
            checkpoints.save(10, tensors(10), {})
    assert names(tmp_path) == ["step-00000005.safetensors"]
    found = checkpoints.latest()
    assert found is not None
    assert found.step == 5


def test_a_folder_that_cannot_exist_ends_in_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    checkpoints = Checkpoints(tmp_path / "file" / "checkpoints")
    assert checkpoints.latest() is None
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .*permissions"):
        checkpoints.save(1, tensors(), {})


def test_writing_atomically_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]
