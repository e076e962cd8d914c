"""How training recordings are varied, on log-mel features (B, features, frames) whose bands have a mean of zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

REACH = 0.1  # of all frames: the farthest move
WIDEST = 0.2  # of all bands, or of all frames: the widest mask


def unchanged(features: Tensor, generator: torch.Generator) -> Tensor:
    """The same features."""
    del generator
    return features


def shift(features: Tensor, generator: torch.Generator) -> Tensor:
    """Each recording moved in time by whole frames; what comes in from outside is zero."""
    count, _, frames = features.shape
    reach = int(frames * REACH)
    sources = torch.arange(frames) + torch.randint(-reach, reach + 1, (count, 1), generator=generator)
    inside = (sources >= 0) & (sources < frames)
    places = sources.clamp(0, frames - 1)[:, None].expand_as(features)
    return features.gather(2, places) * inside[:, None]


def shift_and_mask(features: Tensor, generator: torch.Generator) -> Tensor:
    """As `shift`, then some neighbouring bands and some neighbouring frames set to zero, which is the mean.

    One mask of each kind, its width drawn evenly from none to the widest (SpecAugment: Park et al. 2019, section 2;
    without the warping of time, which they find to matter least).
    """
    moved = shift(features, generator)
    count, bands, frames = features.shape
    bands_kept = ~_stretch(count, bands, generator)[:, :, None]
    frames_kept = ~_stretch(count, frames, generator)[:, None]
    return moved * (bands_kept & frames_kept)


def _stretch(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Where a mask lies: (count, length)."""
    width = torch.randint(0, int(length * WIDEST) + 1, (count, 1), generator=generator)
    start = (torch.rand(count, 1, generator=generator) * (length - width + 1)).long()
    place = torch.arange(length)
    return (place >= start) & (place < start + width)


CHANGES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": unchanged,
    "shift": shift,
    "shift_and_mask": shift_and_mask,
}
