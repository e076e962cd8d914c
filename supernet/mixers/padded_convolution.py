"""Depthwise convolution over the tokens of padded sequences, then a pointwise map (MobileNet, Howard et al. 2017,
section 3.1, along one axis)."""

# B batch, T tokens, D width

from __future__ import annotations

from torch import Tensor, nn

from supernet.mixers.padded_softmax import cleared

KERNEL = 3  # tokens


class PaddedConvolution(nn.Module):
    """Each channel sees a token and its two neighbours; padding is zero, like what lies beyond the ends.

    x_BTD, real_BT -> out_BTD.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.output = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        mixed_BTD = self.depthwise(cleared(x_BTD, real_BT).transpose(1, 2)).transpose(1, 2)
        out_BTD: Tensor = self.output(cleared(mixed_BTD, real_BT))
        return out_BTD
