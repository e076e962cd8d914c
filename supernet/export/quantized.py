"""Quantized linear maps as ONNX operators: what `compression` rounds, the file stores in so many bits.

Owns the operators and how codes are packed for them; the codes and scales are `supernet.compression.quantize`'s, so
that file and training cannot disagree about a weight.

- 8 bits: DynamicQuantizeLinear, MatMulInteger and a scaling, which ONNX Runtime fuses.  Its range of the inputs is
  that of the whole batch: results depend on the batch, and parity is checked one sample at a time.
- 4 bits: ONNX Runtime's own com.microsoft MatMulNBits with blocks of 32 (onnxruntime/docs/ContribOperators.md).
"""

# N output features, K input features, B blocks of S = 32 inputs

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.compression.quantize import BLOCK, QuantizedLinear, encode4, encode8
from supernet.export.onnx import OPSET

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSIGNED_ZERO = 128  # the code of zero where 8-bit weights are stored unsigned
_NIBBLE_ZERO = 8  # MatMulNBits stores 4-bit codes from 0 to 15 and subtracts this


@contextmanager
def lowered(module: nn.Module, *, signed: bool) -> Iterator[nn.Module]:
    """Within, quantized maps of `module` are replaced by ones that export as integer operators and cannot be run.

    Gives the module to export: the same one, unless it is a quantized map itself.
    `signed` says how 8-bit weights are stored: as int8, or as uint8 with a zero point of 128, which computes the
    same and is slower, for processors whose signed kernels saturate.
    """
    replaced: list[tuple[nn.Module, str, QuantizedLinear]] = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, QuantizedLinear)
    ]
    made = {child: _integer(child, signed=signed) for child in module.modules() if isinstance(child, QuantizedLinear)}
    try:
        for parent, name, child in replaced:
            setattr(parent, name, made[child])
        yield made[module] if isinstance(module, QuantizedLinear) else module
    finally:
        for parent, name, child in replaced:
            setattr(parent, name, child)


def _integer(linear: QuantizedLinear, *, signed: bool) -> nn.Module:
    return _Integer8(linear, signed=signed) if linear.bits == 8 else _Integer4(linear)


class _Integer8(nn.Module):
    """x (..., K) -> (..., N) with 8-bit inputs and weights."""

    codes: Tensor
    zero: Tensor
    scale: Tensor
    bias: nn.Parameter | None

    def __init__(self, linear: QuantizedLinear, *, signed: bool) -> None:
        super().__init__()
        codes_NK, scale_N1 = encode8(linear.weight.detach())
        zero, dtype = (0, torch.int8) if signed else (_UNSIGNED_ZERO, torch.uint8)
        self.register_buffer("codes", (codes_NK.t() + zero).to(dtype).contiguous())
        self.register_buffer("zero", torch.tensor(zero, dtype=dtype))
        self.register_buffer("scale", scale_N1.flatten())
        self.bias = linear.bias
        self.outputs = linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        quantized, scale, zero = torch.onnx.ops.symbolic_multi_out(
            "DynamicQuantizeLinear",
            (x,),
            dtypes=(torch.uint8, torch.float32, torch.uint8),
            shapes=(x.shape, (), ()),
            version=OPSET,
        )
        products = torch.onnx.ops.symbolic(
            "MatMulInteger",
            (quantized, self.codes, zero, self.zero),
            dtype=torch.int32,
            shape=(*x.shape[:-1], self.outputs),
            version=OPSET,
        )
        # In this order, which ONNX Runtime fuses with the product.
        result = products.to(torch.float32) * (scale * self.scale)
        return result if self.bias is None else result + self.bias


class _Integer4(nn.Module):
    """x (..., K) -> (..., N) with 4-bit weights."""

    packed: Tensor
    scale: Tensor
    bias: nn.Parameter | None

    def __init__(self, linear: QuantizedLinear) -> None:
        super().__init__()
        codes_NBS, scale_NB1 = encode4(linear.weight.detach())
        nibbles = (codes_NBS + _NIBBLE_ZERO).to(torch.uint8)
        # Two codes a byte, the first in the low half.
        self.register_buffer("packed", (nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)).contiguous())
        self.register_buffer("scale", scale_NB1.squeeze(2).contiguous())
        self.bias = linear.bias
        self.inputs, self.outputs = linear.in_features, linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        result = torch.onnx.ops.symbolic(
            "com.microsoft::MatMulNBits",
            (x, self.packed, self.scale),
            {"K": self.inputs, "N": self.outputs, "bits": 4, "block_size": BLOCK},
            dtype=x.dtype,
            shape=(*x.shape[:-1], self.outputs),
            version=1,
        )
        return result if self.bias is None else result + self.bias
