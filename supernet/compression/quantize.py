"""Quantized linear maps: integers and scales that stand for weights, and training that feels the rounding.

Owns the numbers.  Eager modules compute with the decoded integers ("fake quantization"); the kernels of the exported
file compute with the integers themselves (`supernet/export/quantized.py`), and both ask this module for them.

- 8 bits: one scale an output feature, symmetric, codes in [-127, 127].  Inputs are rounded to 8 bits too, with a range
  of their own for each sample, as ONNX's DynamicQuantizeLinear does for a batch of one.
- 4 bits: one scale for each block of 32 inputs of an output feature, codes in [-8, 7], the value of greatest magnitude
  exactly -8.  Inputs stay as they are: ONNX Runtime's MatMulNBits multiplies with decoded weights.

Gradients pass the rounding as if it were not there (the straight-through estimator; Bengio et al. 2013, section 4).
"""

# N output features, K input features, B blocks of S = 32 inputs

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BLOCK = 32  # inputs that share a scale at 4 bits

_LARGEST_8 = 127  # not 128: symmetric codes need no zero point
_STEPS_8 = 255  # between the least and the greatest input
_LEAST_4, _GREATEST_4 = -8, 7
_SCALE_BYTES = 4


class QuantizedLinear(nn.Linear):
    """A linear map that computes with weights of few bits.  x (batch, ..., K) -> (batch, ..., N).

    `weight` keeps full precision and its name; it is what training changes and what is shared.  Made from an
    `nn.Linear` by `compression.apply`.  The first axis of the input counts samples.
    """

    bits: int

    def forward(self, input: Tensor) -> Tensor:
        if self.bits == 8:
            input = _straight_through(input, rounded_inputs)
        return F.linear(input, _straight_through(self.weight, _ROUNDED_WEIGHTS[self.bits]), self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bits={self.bits}"


def encode8(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Codes of shape (N, K), whole numbers in floating point, and their scales of shape (N, 1)."""
    scale_N1 = weight_NK.abs().amax(1, keepdim=True) / _LARGEST_8
    scale_N1 = torch.where(scale_N1 == 0, 1.0, scale_N1)  # a row of zeros
    return torch.round(weight_NK / scale_N1), scale_N1


def encode4(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Codes of shape (N, B, 32), whole numbers in floating point, and their scales of shape (N, B, 1).

    Inputs that are missing from the last block count as zero.
    """
    inputs = weight_NK.shape[1]
    blocks = math.ceil(inputs / BLOCK)
    weight_NBS = F.pad(weight_NK, (0, blocks * BLOCK - inputs)).reshape(-1, blocks, BLOCK)
    extreme_NB1 = weight_NBS.gather(2, weight_NBS.abs().argmax(2, keepdim=True))
    scale_NB1 = extreme_NB1 / _LEAST_4
    scale_NB1 = torch.where(scale_NB1 == 0, 1.0, scale_NB1)  # a block of zeros
    return torch.round(weight_NBS / scale_NB1).clamp(_LEAST_4, _GREATEST_4), scale_NB1


def _rounded8(weight_NK: Tensor) -> Tensor:
    codes_NK, scale_N1 = encode8(weight_NK)
    return codes_NK * scale_N1


def _rounded4(weight_NK: Tensor) -> Tensor:
    codes_NBS, scale_NB1 = encode4(weight_NK)
    return (codes_NBS * scale_NB1).flatten(1)[:, : weight_NK.shape[1]]


_ROUNDED_WEIGHTS: dict[int, Callable[[Tensor], Tensor]] = {8: _rounded8, 4: _rounded4}


def rounded_inputs(x: Tensor) -> Tensor:
    """Inputs as 8-bit codes decode to, with a range for each sample (the first axis).

    The range always holds zero; codes are whole numbers from 0 to 255 (ONNX operator DynamicQuantizeLinear).
    """
    axes = tuple(range(1, x.ndim))
    if not axes:
        raise ValueError(f"a quantized linear map needs inputs with a batch axis, got one of shape {tuple(x.shape)}.")
    least = x.amin(axes, keepdim=True).clamp(max=0)
    greatest = x.amax(axes, keepdim=True).clamp(min=0)
    scale = (greatest - least) / _STEPS_8
    scale = torch.where(scale == 0, 1.0, scale)
    zero = torch.round(-least / scale).clamp(0, _STEPS_8)
    codes = (torch.round(x / scale) + zero).clamp(0, _STEPS_8)
    return (codes - zero) * scale


def stored_bytes(shape: Sequence[int], bits: int) -> int:
    """What a weight of this shape (N, K) takes in an exported file at so many bits, scales included."""
    outputs, inputs = shape
    if bits == 8:
        return outputs * (inputs + _SCALE_BYTES)
    if bits == 4:
        return outputs * math.ceil(inputs / BLOCK) * (BLOCK // 2 + _SCALE_BYTES)
    return outputs * inputs * bits // 8


def _straight_through(x: Tensor, rounded: Callable[[Tensor], Tensor]) -> Tensor:
    """`rounded(x)`, whose gradient is handed to `x` unchanged."""
    with torch.no_grad():
        values = rounded(x.detach())
    if not (torch.is_grad_enabled() and x.requires_grad):
        return values
    passed: Tensor = _PassGradient.apply(x, values)  # type: ignore[no-untyped-call]
    return passed


class _PassGradient(torch.autograd.Function):
    """(x, values) -> values, with the gradient of `x` that of the result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor) -> Tensor:
        del ctx, x
        return values.view_as(values)  # an input may not be returned as it is

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        del ctx
        return gradients[0], None
