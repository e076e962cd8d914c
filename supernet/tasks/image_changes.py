"""How training images are varied: moved a little, turned over.  Each takes and returns (B, channels, height, width)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

REACH = 8  # a side is moved by an eighth of its length at most: 4 pixels of 32, as He et al. (2016, section 4.2) do


def unchanged(images: Tensor, generator: torch.Generator) -> Tensor:
    """The same images."""
    del generator
    return images


def shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by whole pixels; what comes in from outside repeats the edge."""
    return _moved(images, generator, torch.zeros(len(images), dtype=torch.bool))


def shift_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """As `shift`, and every second image, at random, is its own mirror image, left for right."""
    return _moved(images, generator, torch.rand(len(images), generator=generator) < 0.5)


def _moved(images: Tensor, generator: torch.Generator, flipped: Tensor) -> Tensor:
    down = _places(len(images), images.shape[2], generator)
    across = _places(len(images), images.shape[3], generator)
    across = torch.where(flipped[:, None], across.flip(1), across)
    samples = torch.arange(len(images))[:, None, None, None]
    channels = torch.arange(images.shape[1])[:, None, None]
    return images[samples, channels, down[:, None, :, None], across[:, None, None, :]]


def _places(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Which pixel of a side comes to stand where: (count, side)."""
    reach = side // REACH
    moves = torch.randint(-reach, reach + 1, (count, 1), generator=generator)
    return (torch.arange(side) + moves).clamp(0, side - 1)


CHANGES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": unchanged,
    "shift": shift,
    "shift_and_flip": shift_and_flip,
}
