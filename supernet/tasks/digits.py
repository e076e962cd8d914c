"""Handwritten digits: the 1,797 real 8 x 8 images that ship with scikit-learn (Alpaydin & Kaynak 1998, UCI).

Needs no download.  The split is fixed and balanced over the classes: 60 % train, 20 % validation, 20 % test.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from supernet.tasks.task import Split, Task

SPLIT_SEED = 20_240  # of the split only; a study's seed never moves an image from one split to another
_FILE = Path("datasets", "data", "digits.csv.gz")  # in scikit-learn
SHARES = (0.6, 0.2)  # train, validation; the rest is test
PIXEL_MAXIMUM = 16.0
BACKGROUND = -1.0  # an empty pixel after scaling
SHIFT = 0.5  # pixels; digits fill the 8 x 8 frame, and two pixels already push strokes out of it


def load() -> Task:
    """The task; inputs are (1, 8, 8) with pixels from -1, the background, to 1."""
    pixels, labels = _shipped()
    images = torch.from_numpy(pixels).float().div(PIXEL_MAXIMUM).sub(0.5).mul(2).unsqueeze(1)
    targets = torch.from_numpy(labels).long()
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label in range(10):
        members = torch.nonzero(targets == label).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        first = round(len(members) * SHARES[0])
        second = first + round(len(members) * SHARES[1])
        for part, chosen in zip(parts, members.tensor_split([first, second]), strict=True):
            part.append(chosen)
    splits = [Split(images[rows], targets[rows]) for rows in (torch.cat(part).sort().values for part in parts)]
    return Task(
        name="digits",
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        classes=10,
        augment=shift_and_scale,
    )


def _shipped() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (1797, 8, 8), 0 to 16, and labels (1797,).

    Read from scikit-learn's file where it has lain for years: importing scikit-learn takes each process of a study
    1.4 s, reading the file 0.02 s.
    """
    found = find_spec("sklearn")
    if found is not None and found.origin is not None and (file := Path(found.origin).parent / _FILE).exists():
        rows = np.loadtxt(file, delimiter=",")
        return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images, data.target


def shift_and_scale(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved, stretched, turned and sheared a little, the empty border filled with background."""
    count = len(images)
    uniform = torch.rand(count, 6, generator=generator) * 2 - 1
    angle = uniform[:, 0] * 0.12  # radians
    stretch = 1 + uniform[:, 1:3] * 0.08
    shear = uniform[:, 3] * 0.08
    shift = uniform[:, 4:6] * (2 * SHIFT / images.shape[-1])
    cosine, sine = angle.cos(), angle.sin()
    rows = torch.stack(
        (
            torch.stack((cosine * stretch[:, 0], -sine + shear, shift[:, 0]), 1),
            torch.stack((sine, cosine * stretch[:, 1], shift[:, 1]), 1),
        ),
        1,
    )
    grid = torch.nn.functional.affine_grid(rows, list(images.shape), align_corners=False)
    # Beyond the edge grid_sample puts 0, which must be the background.
    moved = torch.nn.functional.grid_sample(images - BACKGROUND, grid, align_corners=False)
    return moved + BACKGROUND
