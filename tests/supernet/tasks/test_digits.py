"""The digits: a fixed, balanced split without leaks, and augmentation that stays an image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from supernet.tasks import digits

if TYPE_CHECKING:
    from supernet.tasks.task import Split, Task

ROOT = Path(__file__).parents[3]
GOLDEN = "8175ddf0544ddb8fdba561671df47bf1bc9a74b1bb58f7493edc26cb7b1d239f"


@pytest.fixture(scope="module")
def task() -> Task:
    return digits.load()


def images_of(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.inputs}


def test_the_data_and_the_split_never_change(task: Task) -> None:
    assert task.checksum() == GOLDEN
    assert digits.load().checksum() == GOLDEN
    assert (len(task.train), len(task.validation), len(task.test)) == (1_078, 359, 360)
    assert (task.input_shape, task.classes) == ((1, 8, 8), 10)


def test_the_images_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its file is where it lies today or not."""
    data = load_digits()
    for file in (digits._FILE, Path("elsewhere.csv.gz")):
        monkeypatch.setattr(digits, "_FILE", file)
        pixels, labels = digits._shipped()
        assert np.array_equal(pixels, data.images)
        assert np.array_equal(labels, data.target)


@pytest.mark.slow
def test_no_process_waits_for_scikit_learn() -> None:
    told = "import sys; from supernet.tasks.digits import load; load(); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_the_split_does_not_depend_on_the_global_random_state() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        assert digits.load().checksum() == GOLDEN


def test_no_image_is_in_two_splits(task: Task) -> None:
    """Not even as a pixel-identical copy: all 1,797 images differ."""
    parts = [images_of(split) for split in (task.train, task.validation, task.test)]
    assert sum(len(part) for part in parts) == len(parts[0] | parts[1] | parts[2]) == 1_797


def test_each_class_is_split_in_the_same_shares(task: Task) -> None:
    counts = [torch.bincount(split.targets, minlength=10) for split in (task.train, task.validation, task.test)]
    total = counts[0] + counts[1] + counts[2]
    for part, share in zip(counts, (0.6, 0.2, 0.2), strict=True):
        assert ((part - share * total).abs() <= 1).all()


def test_splits_are_not_sorted_by_class(task: Task) -> None:
    for split in (task.train, task.validation, task.test):
        assert (split.targets[1:] != split.targets[:-1]).float().mean() > 0.8


def test_pixels_are_scaled_to_one_on_either_side_of_zero(task: Task) -> None:
    inputs = torch.cat([task.train.inputs, task.validation.inputs, task.test.inputs])
    assert inputs.dtype == torch.float32
    assert (float(inputs.min()), float(inputs.max())) == (-1.0, 1.0)
    assert torch.equal((inputs + 1) * 8, ((inputs + 1) * 8).round()), "the data has 17 grey levels"


def test_augmentation_keeps_shape_range_and_background(task: Task) -> None:
    images = task.train.inputs[:300]
    moved = digits.shift_and_scale(images, torch.Generator().manual_seed(0))
    assert (moved.shape, moved.dtype) == (images.shape, images.dtype)
    assert moved.isfinite().all()
    assert float(moved.min()) >= -1 - 1e-6
    assert float(moved.max()) <= 1 + 1e-6
    empty = torch.full((50, 1, 8, 8), digits.BACKGROUND)
    assert torch.equal(digits.shift_and_scale(empty, torch.Generator().manual_seed(0)), empty)


def test_augmentation_moves_by_about_a_pixel_at_most(task: Task) -> None:
    """The centre of brightness of every image stays close; none of them stays the same."""
    images = task.train.inputs
    moved = digits.shift_and_scale(images, torch.Generator().manual_seed(0))
    position = torch.arange(8.0)
    centres = []
    for batch in (images, moved):
        light = batch[:, 0] + 1
        total = light.sum((1, 2))
        across, down = (light.sum(1) * position).sum(1) / total, (light.sum(2) * position).sum(1) / total
        centres.append(torch.stack((across, down), 1))
    assert float((centres[0] - centres[1]).norm(dim=1).max()) < 1.2
    assert not (images == moved).flatten(1).all(1).any()


def test_augmentation_comes_from_the_generator_alone(task: Task) -> None:
    images = task.train.inputs[:8]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = (digits.shift_and_scale(images, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, task.train.inputs[:8]), "the originals were changed"
