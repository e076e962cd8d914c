"""Rotary positions (Su et al. 2021, section 3.2): queries and keys turn with their position, without parameters.

Feature i is paired with feature i + E / 2; the paper pairs neighbours, which differs by a permutation only.
"""

# B batch, H heads, T tokens, E head width

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0  # section 3.2.2


def check_head_width(head_width: int) -> None:
    """Raises `ValueError` where features cannot be paired."""
    if head_width % 2:
        raise ValueError(f"rotary positions pair the features of a head, got {head_width}; use an even head width.")


def rotated(x_BHTE: Tensor, position: Tensor) -> Tensor:
    """Each pair of features turned by position * BASE^(-2 i / E).

    `position` (T,), or (B, 1, 1) with a position for each sequence; a query and a key then see only their distance.
    """
    half = x_BHTE.shape[-1] // 2
    kind = torch.promote_types(x_BHTE.dtype, torch.float32)  # angles in bf16 would be wrong from position 256 on
    frequency = BASE ** (-torch.arange(half, device=x_BHTE.device, dtype=kind) / half)
    angle = position.to(kind).unsqueeze(-1) * frequency
    cosine, sine = angle.cos().to(x_BHTE.dtype), angle.sin().to(x_BHTE.dtype)
    first, second = x_BHTE[..., :half], x_BHTE[..., half:]
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)
