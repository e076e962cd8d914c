"""Efficient channel attention (ECA-Net, Wang et al. 2020, section 3.2)."""

# B batch, C channels, H and W height and width

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor, nn

from supernet.slicing import Centred, Layout

_SLOPE, _OFFSET = 2, 1  # gamma and b of eq. 12


def taps_for(channels: int) -> int:
    """How many neighbouring channels a gate looks at: |log2(C) / 2 + 1 / 2| to the nearest odd number (eq. 12).

    The whole part of it, or the odd number above: 1 below 8 channels, 3 below 128, 5 below 2,048.
    """
    whole = int((math.log2(channels) + _OFFSET) / _SLOPE)
    return whole if whole % 2 else whole + 1


class AcrossChannels(nn.Conv1d):
    """A one-dimensional convolution over the means of neighbouring channels, zero beyond the first and the last."""

    parameter_layouts: ClassVar[dict[str, Layout]] = {"weight": Centred()}  # fewer channels look at fewer neighbours

    def __init__(self, taps: int) -> None:
        super().__init__(1, 1, taps, padding=taps // 2, bias=False)


class EfficientChannelAttention(nn.Module):
    """Each channel times a gate made of the means of its neighbours, without a bottleneck.  x_BCHW -> out_BCHW."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = AcrossChannels(taps_for(channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        gate_BC = self.mix(x_BCHW.mean((2, 3)).unsqueeze(1)).squeeze(1).sigmoid()
        out_BCHW: Tensor = x_BCHW * gate_BC[:, :, None, None]
        return out_BCHW
