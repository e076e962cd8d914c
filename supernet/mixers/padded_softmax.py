"""Multi-head softmax attention over the tokens of padded sequences (Vaswani et al. 2017, section 3.2).

Owns what padding means to a mixer: `real_BT` is True where a token stands, and x is zero where none does.  No token's
result depends on the padding around it; what a mixer returns in place of padding means nothing.
"""

# B batch, T tokens, D width, H heads, E head width, I = H * E

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def cleared(x_BTD: Tensor, real_BT: Tensor) -> Tensor:
    """Zero in place of padding.

    Before every linear map: at 8 bits it rounds its inputs by the range over a whole sample, which always holds zero
    and must hold nothing else that padding brings.
    """
    return x_BTD.masked_fill(~real_BT.unsqueeze(-1), 0.0)


class PaddedSoftmaxAttention(nn.Module):
    """Full attention among the real tokens.  x_BTD, real_BT -> out_BTD.

    Query, key and value are projections of their own, heads outermost: fewer heads are the leading rows.
    """

    def __init__(self, width: int, *, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_width
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)

    def forward(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        q, k, v = (self._by_head(project(x_BTD)) for project in (self.query, self.key, self.value))
        mixed_BTI = self.mix(q, k, v, real_BT).transpose(1, 2).flatten(2)
        out_BTD: Tensor = self.output(cleared(mixed_BTI, real_BT))
        return out_BTD

    def _by_head(self, projected_BTI: Tensor) -> Tensor:
        return torch.unflatten(projected_BTI, 2, (self.heads, -1)).transpose(1, 2)

    def mix(self, q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, real_BT: Tensor) -> Tensor:
        """The heads' outputs.  Returns out_BHTE."""
        token = torch.arange(real_BT.shape[1], device=real_BT.device)
        itself_TT = token.unsqueeze(1) == token  # also of padding: a softmax over nothing is not a number
        return F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, attn_mask=real_BT[:, None, None] | itself_TT)
