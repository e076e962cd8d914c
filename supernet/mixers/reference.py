"""Slow, obvious definitions of the token mixers: what their tests compare with.

Each takes the fast module for its parameters only and computes in plain loops or with dense masks.
"""

# B batch, T tokens, D width, E head width, I and J rows and columns of a kernel

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from supernet.mixers.convolution import DepthwiseConvolution
    from supernet.mixers.softmax import SoftmaxAttention
    from supernet.mixers.windowed import WindowedAttention


def softmax_attention(module: SoftmaxAttention, x_BTD: Tensor, mask_TT: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(E)) v, head by head; `mask_TT` is True where a query may look."""
    q, k, v = module.query(x_BTD), module.key(x_BTD), module.value(x_BTD)
    E = q.shape[-1] // module.heads
    heads = []
    for head in range(module.heads):
        columns = slice(head * E, (head + 1) * E)
        scores = q[..., columns] @ k[..., columns].transpose(1, 2) / math.sqrt(E)
        if mask_TT is not None:
            scores = scores.masked_fill(~mask_TT, -math.inf)
        heads.append(scores.softmax(-1) @ v[..., columns])
    out_BTD: Tensor = module.output(torch.cat(heads, -1))
    return out_BTD


def windowed_attention(module: WindowedAttention, x_BTD: Tensor) -> Tensor:
    """Dense attention under the mask that lets tokens of one window see each other."""
    grid = module.windows * module.side
    row = torch.arange(grid * grid) // grid // module.side
    column = torch.arange(grid * grid) % grid // module.side
    window = row * module.windows + column
    return softmax_attention(module, x_BTD, window[:, None] == window[None, :])


def depthwise_convolution(module: DepthwiseConvolution, x_BTD: Tensor) -> Tensor:
    """The sum over the neighbourhood, tap by tap."""
    B, T, D = x_BTD.shape
    kernel_DIJ, bias = module.depthwise.weight.squeeze(1), module.depthwise.bias
    assert bias is not None
    reach = kernel_DIJ.shape[-1] // 2
    image = x_BTD.reshape(B, module.grid, module.grid, D)
    mixed = bias.expand(B, module.grid, module.grid, D).clone()
    for row in range(module.grid):
        for column in range(module.grid):
            for i in range(-reach, reach + 1):
                for j in range(-reach, reach + 1):
                    if 0 <= row + i < module.grid and 0 <= column + j < module.grid:
                        tap = kernel_DIJ[:, i + reach, j + reach]
                        mixed[:, row, column] += image[:, row + i, column + j] * tap
    out_BTD: Tensor = module.output(mixed.reshape(B, T, D))
    return out_BTD
