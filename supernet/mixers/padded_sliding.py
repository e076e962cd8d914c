"""Softmax attention to the tokens near by, in padded sequences (sliding window; Longformer, Beltagy et al. 2020,
section 3.1).

Long sequences are computed in blocks, so that the cost grows with tokens * window.
"""

# B batch, H heads, T tokens, E head width, N blocks of S tokens

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers.padded_softmax import PaddedSoftmaxAttention


class PaddedSlidingAttention(PaddedSoftmaxAttention):
    """Attention of each token to the real ones at most `window` tokens away, on both sides.

    x_BTD, real_BT -> out_BTD.  Same parameters as full attention, to share weights with it.
    """

    def __init__(self, width: int, *, heads: int, head_width: int, window: int) -> None:
        super().__init__(width, heads=heads, head_width=head_width)
        self.window = window

    def mix(self, q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, real_BT: Tensor) -> Tensor:
        """The heads' outputs.  Returns out_BHTE."""
        T, S = real_BT.shape[1], self.window
        N = math.ceil(T / S)
        if N * S * 3 * S < T * T:  # else blocks would cost as many products as all pairs, or more
            return self._in_blocks(q_BHTE, k_BHTE, v_BHTE, real_BT, N)
        token = torch.arange(T, device=real_BT.device)
        distance_TT = (token.unsqueeze(1) - token).abs()
        visible_BHTT = (distance_TT <= S) & real_BT[:, None, None] | (distance_TT == 0)
        return F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, attn_mask=visible_BHTT)

    def _in_blocks(self, q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, real_BT: Tensor, N: int) -> Tensor:
        """Each block of S queries against its own keys and those of the blocks beside it."""
        S, (H, T, E) = self.window, q_BHTE.shape[1:]
        missing = N * S - T

        def blocks(x_BHTE: Tensor) -> Tensor:
            """Tokens of a block side by side, blocks in the batch axis."""
            return torch.unflatten(x_BHTE, 2, (-1, S)).transpose(1, 2)

        def around(x_BHTE: Tensor) -> Tensor:
            split = blocks(F.pad(x_BHTE, (0, 0, S, S + missing)))
            return torch.cat([split[:, start : start + N] for start in range(3)], 3).flatten(0, 1)

        q = blocks(F.pad(q_BHTE, (0, 0, 0, missing))).flatten(0, 1)
        real = around(real_BT[:, None, :, None]).transpose(2, 3)  # one row of keys for all heads and queries
        token = torch.arange(3 * S, device=real_BT.device)
        distance = (token[S : 2 * S].unsqueeze(1) - token).abs()
        visible = (distance <= S) & real | (distance == 0)
        mixed = F.scaled_dot_product_attention(q, around(k_BHTE), around(v_BHTE), attn_mask=visible)
        return mixed.reshape(-1, N, H, S, E).transpose(1, 2).flatten(2, 3)[:, :, :T]
