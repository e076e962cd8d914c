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
    from supernet.mixers.decayed_linear import DecayedLinearAttention
    from supernet.mixers.grouped_attention import GroupedAttention
    from supernet.mixers.padded_convolution import PaddedConvolution
    from supernet.mixers.padded_sliding import PaddedSlidingAttention
    from supernet.mixers.padded_softmax import PaddedSoftmaxAttention
    from supernet.mixers.short_convolution import ShortConvolution
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


def grouped_attention(module: GroupedAttention, x_BTD: Tensor) -> Tensor:
    """One query at a time: rotate as complex numbers, look at what the span shows, softmax, weighted mean."""
    B, T, _ = x_BTD.shape
    E, plan = module.head_width, module.plan
    q, k, v = (
        project(x_BTD).reshape(B, T, -1, E) for project in (module.query, module.key, module.value)
    )  # (B, T, heads, E)
    if module.rotary:
        frequency = 10_000.0 ** (-2 * torch.arange(E // 2, dtype=x_BTD.dtype) / E)
        angle = torch.arange(T, dtype=x_BTD.dtype)[:, None, None] * frequency
        turn = torch.polar(torch.ones_like(angle), angle)
        turned = [torch.complex(x[..., : E // 2], x[..., E // 2 :]) * turn for x in (q, k)]
        q, k = (torch.cat([x.real, x.imag], -1) for x in turned)
    rows = []
    for t in range(T):
        heads = []
        for head in range(plan.heads):
            span = plan.spans[head % len(plan.spans)] or T
            seen = [s for s in range(T) if abs(t - s) < span and (s <= t or not module.causal)]
            keys, values = k[:, seen, head % plan.key_heads], v[:, seen, head % plan.value_heads]
            weights = ((keys * q[:, t, None, head]).sum(-1) / math.sqrt(E)).softmax(-1)
            heads.append((weights[..., None] * values).sum(1))
        rows.append(torch.cat(heads, -1))
    out_BTD: Tensor = module.output(torch.stack(rows, 1))
    return out_BTD


def decayed_linear_attention(module: DecayedLinearAttention, x_BTD: Tensor) -> Tensor:
    """The sum over tokens, one query at a time and head by head."""
    T, E = x_BTD.shape[1], module.head_width
    query, key = module.query(x_BTD), module.key(x_BTD)
    q, k = query * query.sigmoid(), key * key.sigmoid()
    v, gate = module.value(x_BTD), module.gate(x_BTD)
    rows = []
    for t in range(T):
        heads = []
        for head in range(module.heads):
            part = slice(head * E, (head + 1) * E)
            decay = 1 - 2.0 ** (-5 - head)
            mixed = torch.zeros_like(v[:, t, part])
            for s in range(t + 1 if module.causal else T):
                similarity = (q[:, t, part] * k[:, s, part]).sum(-1, keepdim=True)
                mixed = mixed + decay ** abs(t - s) * similarity * v[:, s, part]
            heads.append(mixed / (mixed.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gate[:, t, part])
        rows.append(torch.cat(heads, -1))
    out_BTD: Tensor = module.output(torch.stack(rows, 1))
    return out_BTD


def short_convolution(module: ShortConvolution, x_BTD: Tensor) -> Tensor:
    """The sum over taps, token by token, times the gate."""
    T = x_BTD.shape[1]
    kernel_DK, bias = module.depthwise.weight.squeeze(1), module.depthwise.bias
    assert bias is not None
    newest = 0 if module.causal else module.taps // 2  # how far ahead the last tap lies
    rows = []
    for t in range(T):
        mixed = bias.expand_as(x_BTD[:, t])
        for tap in range(module.taps):
            s = t + newest - (module.taps - 1 - tap)
            if 0 <= s < T:
                mixed = mixed + kernel_DK[:, tap] * x_BTD[:, s]
        rows.append(mixed * module.gate(x_BTD[:, t]))
    out_BTD: Tensor = module.output(torch.stack(rows, 1))
    return out_BTD


def padded_softmax_attention(module: PaddedSoftmaxAttention, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
    """One sequence at a time, without its padding; zero in place of that."""
    return _without_padding(module, x_BTD, real_BT, reach=x_BTD.shape[1])


def padded_sliding_attention(module: PaddedSlidingAttention, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
    """The same with a mask over the tokens that are too far away."""
    return _without_padding(module, x_BTD, real_BT, reach=module.window)


def _without_padding(module: PaddedSoftmaxAttention, x_BTD: Tensor, real_BT: Tensor, reach: int) -> Tensor:
    out_BTD = torch.zeros_like(x_BTD)
    for sequence, x_TD in enumerate(x_BTD):
        place = real_BT[sequence].nonzero().squeeze(1)
        near = (place[:, None] - place[None, :]).abs() <= reach
        q, k, v = (project(x_TD[place]) for project in (module.query, module.key, module.value))
        heads = []
        for columns in torch.arange(q.shape[1]).chunk(module.heads):
            scores = (q[:, columns] @ k[:, columns].T / math.sqrt(len(columns))).masked_fill(~near, -math.inf)
            heads.append(scores.softmax(-1) @ v[:, columns])
        out_BTD[sequence, place] = module.output(torch.cat(heads, -1))
    return out_BTD


def padded_convolution(module: PaddedConvolution, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
    """The sum over the neighbours that are real, token by token; zero in place of padding."""
    T = x_BTD.shape[1]
    kernel_DI, bias = module.depthwise.weight.squeeze(1), module.depthwise.bias
    assert bias is not None
    reach = kernel_DI.shape[1] // 2
    out_BTD = torch.zeros_like(x_BTD)
    for sequence, token in real_BT.nonzero().tolist():
        mixed_D = bias
        for near in range(max(0, token - reach), min(T, token + reach + 1)):
            if real_BT[sequence, near]:
                mixed_D = mixed_D + kernel_DI[:, near - token + reach] * x_BTD[sequence, near]
        out_BTD[sequence, token] = module.output(mixed_D)
    return out_BTD
