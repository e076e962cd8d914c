"""A fast token mixer against its slow definition: outputs, and gradients of inputs and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


def randomised(module: nn.Module) -> nn.Module:
    """In double precision, every parameter drawn anew."""
    generator = torch.Generator().manual_seed(3)
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return module


def assert_same_function(module: nn.Module, slow: Callable[[Any, Tensor], Tensor], shape: tuple[int, ...]) -> None:
    """On random parameters and inputs, in double precision, to rounding."""
    randomised(module)
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    fast_out, slow_out = module(x), slow(module, x)
    assert fast_out.shape == shape
    torch.testing.assert_close(fast_out, slow_out, rtol=1e-10, atol=1e-10)
    weighting = torch.randn(shape, generator=generator, dtype=torch.float64)
    wanted = [x, *module.parameters()]
    fast_gradients = torch.autograd.grad((fast_out * weighting).sum(), wanted)
    slow_gradients = torch.autograd.grad((slow_out * weighting).sum(), wanted)
    for fast, reference in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(fast, reference, rtol=1e-9, atol=1e-9)
