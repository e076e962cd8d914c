"""Rotary positions (RoPE, Su et al. 2021): queries and keys turn with their position, without parameters.

Feature i is paired with feature i + E / 2; the paper pairs neighbours, which differs by a permutation only.
"""

# B batch, H heads, T tokens, E head width

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0  # Su et al. 2021


def check_head_width(head_width: int) -> None:
    """Raises `ValueError` where features cannot be paired."""
    if head_width % 2:
        raise ValueError(f"rotary positions pair the features of a head, got {head_width}; use an even head width.")


def turns(position: Tensor, like_BHTE: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of position * BASE^(-2 i / E) for each pair i: what `rotated` turns heads like these by.

    `position` (T,), or (B, 1, 1) with a position for each sequence.  Queries and keys share them, and then see only
    their distance.
    """
    half = like_BHTE.shape[-1] // 2
    kind = torch.promote_types(like_BHTE.dtype, torch.float32)  # angles in bf16 would be wrong from position 256 on
    frequency = BASE ** (-torch.arange(half, device=like_BHTE.device, dtype=kind) / half)
    angle = position.to(kind).unsqueeze(-1) * frequency
    return angle.cos().to(like_BHTE.dtype), angle.sin().to(like_BHTE.dtype)


def rotated(x_BHTE: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Each pair of features turned."""
    cosine, sine = turns
    half = x_BHTE.shape[-1] // 2
    first, second = x_BHTE[..., :half], x_BHTE[..., half:]
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)
