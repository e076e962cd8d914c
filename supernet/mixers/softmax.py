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
        """The heads' outputs, concatenated, before the output projection.

        Tokens are projected first and split into groups afterwards, so that a quantized projection sees a sample
        whole.
        """
        q, k, v = (self._by_head(self.split(project(x_BTD))) for project in (self.query, self.key, self.value))
        return self.join(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def _by_head(self, projected: Tensor) -> Tensor:
        batch, tokens, inner = projected.shape
        return projected.reshape(batch, tokens, self.heads, inner // self.heads).transpose(1, 2)

    def split(self, projected_BTI: Tensor) -> Tensor:
        """The groups of tokens that see each other, one an entry of the batch axis: here all tokens of a sample."""
        return projected_BTI

    def join(self, mixed: Tensor) -> Tensor:
        """The inverse of `split`."""
        return mixed
