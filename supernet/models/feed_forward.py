"""Feed-forward networks of a layer, plain and gated.  x (..., D) -> out (..., D)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class PlainFeedForward(nn.Module):
    """Two linear maps with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.contract(F.gelu(self.expand(x)))
        return out


class GatedFeedForward(nn.Module):
    """contract(silu(gate(x)) * expand(x)): SwiGLU (Shazeer 2020).  Three maps, so half as much again."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.contract(F.silu(self.gate(x)) * self.expand(x))
        return out
