"""Slow, obvious definitions of the channel attentions: what their tests compare with.

Each takes the fast module for its parameters only and computes channel by channel.
"""

# B batch, C channels, H and W height and width

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from supernet.channel_attention.eca import EfficientChannelAttention
    from supernet.channel_attention.squeeze_excite import SqueezeExcite


def _mean_of(channel_BHW: Tensor) -> Tensor:
    B, H, W = channel_BHW.shape
    total = torch.zeros(B, dtype=channel_BHW.dtype)
    for row in range(H):
        for column in range(W):
            total = total + channel_BHW[:, row, column]
    return total / (H * W)


def _gated(x_BCHW: Tensor, scores: list[Tensor]) -> Tensor:
    channels = [x_BCHW[:, channel] / (1 + torch.exp(-score))[:, None, None] for channel, score in enumerate(scores)]
    return torch.stack(channels, 1)


def squeeze_excite(module: SqueezeExcite, x_BCHW: Tensor) -> Tensor:
    """Means, a rectified linear map to fewer numbers, a linear map back, a logistic gate."""
    means = [_mean_of(x_BCHW[:, channel]) for channel in range(x_BCHW.shape[1])]
    hidden = []
    for row, bias in zip(module.reduce.weight, module.reduce.bias, strict=True):
        total = sum((weight * mean for weight, mean in zip(row, means, strict=True)), start=bias)
        hidden.append(total.clamp(min=0))
    scores = [
        sum((weight * value for weight, value in zip(row, hidden, strict=True)), start=bias)
        for row, bias in zip(module.expand.weight, module.expand.bias, strict=True)
    ]
    return _gated(x_BCHW, scores)


def efficient_channel_attention(module: EfficientChannelAttention, x_BCHW: Tensor) -> Tensor:
    """Means, a weighted sum over neighbouring channels tap by tap, a logistic gate."""
    channels = x_BCHW.shape[1]
    means = [_mean_of(x_BCHW[:, channel]) for channel in range(channels)]
    taps = module.mix.weight.flatten()
    reach = len(taps) // 2
    scores = []
    for channel in range(channels):
        score = torch.zeros_like(means[0])
        for offset in range(-reach, reach + 1):
            if 0 <= channel + offset < channels:
                score = score + taps[offset + reach] * means[channel + offset]
        scores.append(score)
    return _gated(x_BCHW, scores)
