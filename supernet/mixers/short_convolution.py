"""A gate times a short depthwise convolution along the sequence (BaseConv; Zoology, Arora et al. 2023)."""

# B batch, T tokens, D width, K taps

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.mixers.sequence import check_decodable

if TYPE_CHECKING:
    from supernet.mixers.sequence import State

TAPS = 3


class ShortConvolution(nn.Module):
    """output((gate of x) * (convolution of x)), zero beyond the ends.  x_BTD -> out_BTD.

    Causal taps lie on the token and the K - 1 before it; bidirectional ones are centred, so K must be odd.  The
    output projection is ours; the paper's mixer ends with the product.
    """

    def __init__(self, width: int, *, taps: int = TAPS, causal: bool = True) -> None:
        super().__init__()
        if not causal and taps % 2 == 0:
            raise ValueError(f"{taps} taps have no middle; use an odd number for a bidirectional convolution.")
        self.taps, self.causal = taps, causal
        self.gate = nn.Linear(width, width)
        self.depthwise = nn.Conv1d(width, width, taps, groups=width)
        self.output = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        before = self.taps - 1 if self.causal else self.taps // 2
        padded_BDT = F.pad(x_BTD.transpose(1, 2), (before, self.taps - 1 - before))
        out_BTD: Tensor = self.output(self.gate(x_BTD) * self.depthwise(padded_BDT).transpose(1, 2))
        return out_BTD

    def start(self, batch: int, tokens: int) -> State:
        """The K - 1 tokens before the first, which are zero, whatever there is room for: (B, D, K - 1)."""
        check_decodable(self.causal)
        del tokens
        weight = self.depthwise.weight
        return (weight.new_zeros(batch, weight.shape[0], self.taps - 1),) if self.taps > 1 else ()

    def step(self, x_BD: Tensor, position_B: Tensor, state: State) -> tuple[Tensor, State]:
        """One token; see `SequenceMixer`."""
        del position_B
        seen_BDK = torch.cat([*state, x_BD.unsqueeze(-1)], -1)
        out_BD: Tensor = self.output(self.gate(x_BD) * self.depthwise(seen_BDK).squeeze(-1))
        return out_BD, tuple(seen_BDK[..., 1:] for _ in state)
