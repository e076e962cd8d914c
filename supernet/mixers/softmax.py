"""Multi-head softmax attention over all tokens (Vaswani et al. 2017, section 3.2)."""

# B batch, T tokens, D width, H heads, E head width

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SoftmaxAttention(nn.Module):
    """Full attention.  x_BTD -> out_BTD.

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

    def forward(self, x_BTD: Tensor) -> Tensor:
        out_BTD: Tensor = self.output(self.attend(x_BTD))
        return out_BTD

    def attend(self, x_BTD: Tensor) -> Tensor:
        """The heads' outputs, concatenated, before the output projection."""
        q, k, v = (
            project(x_BTD).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
