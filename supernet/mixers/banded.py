"""Softmax attention in which a token sees only those near by (sliding window; Longformer, Beltagy et al. 2020).

Owns which tokens a span lets see.  Long sequences are computed in blocks, so that the cost grows with tokens * span.
"""

# B batch, H heads, T tokens, E head width, N blocks of S tokens, M blocks that a block sees

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def banded_attention(q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, *, span: int | None, causal: bool) -> Tensor:
    """Attention of each token to itself and to what is less than `span` tokens away: before it, or, not causal, around.

    `span=None` is everything.  Returns out_BHTE.
    """
    T = q_BHTE.shape[-2]
    if span is None or span >= T:
        return F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, is_causal=causal)
    M = 2 if causal else 3
    if M * span >= T:  # in blocks of `span` tokens, as many products or more
        distance = _distance(torch.arange(T, device=q_BHTE.device), torch.arange(T, device=q_BHTE.device))
        return F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, attn_mask=_within(distance, span, causal))
    return _in_blocks(q_BHTE, k_BHTE, v_BHTE, span, causal)


def _in_blocks(q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, S: int, causal: bool) -> Tensor:
    """Each block of S queries against its own keys, those of the block before and, not causal, of the one after."""
    H, T = q_BHTE.shape[1:3]
    N, M = math.ceil(T / S), 2 if causal else 3
    missing = N * S - T
    q = torch.unflatten(F.pad(q_BHTE, (0, 0, 0, missing)), 2, (N, S))
    around = (0, 0, S, missing if causal else missing + S)

    def seen(x_BHTE: Tensor) -> Tensor:
        blocks = torch.unflatten(F.pad(x_BHTE, around), 2, (N + M - 1, S))
        return torch.cat([blocks[:, :, m : m + N] for m in range(M)], 3).flatten(1, 2)

    token = torch.arange(N * S, device=q_BHTE.device).reshape(N, S)
    key = torch.arange(-S, (M - 1) * S, device=q_BHTE.device) + S * torch.arange(N, device=q_BHTE.device).unsqueeze(1)
    distance = _distance(token, key)
    # Every query of the padding sees the last token, less than S away: no softmax of nothing, which is not a number.
    visible = _within(distance, S, causal) & ((key >= 0) & (key < T)).unsqueeze(1)
    mixed = F.scaled_dot_product_attention(
        q.flatten(1, 2), seen(k_BHTE), seen(v_BHTE), attn_mask=visible.repeat(H, 1, 1)
    )
    return torch.unflatten(mixed, 1, (H, N)).flatten(2, 3)[:, :, :T]


def _distance(query: Tensor, key: Tensor) -> Tensor:
    """How many tokens before the query the key stands: (..., queries), (..., keys) -> (..., queries, keys)."""
    return query.unsqueeze(-1) - key.unsqueeze(-2)


def _within(distance: Tensor, span: int, causal: bool) -> Tensor:
    return (distance < span) & (distance >= 0 if causal else distance > -span)
