"""What a subnet computes, by definition: the uniform model of full size in which nothing reads what the subnet lacks.

A head, a channel or a unit that no weight reads any more has no effect; a tap of a kernel that is zero has none.  So
the wanted outputs and gradients come from models in which no tensor is sliced at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from supernet import SharedWeights

Kept = Mapping[str, Iterable[tuple[int, Iterable[int]]]]
"""By parameter name: along which axis, which elements are still read."""


def silence(full: nn.Module, weights: SharedWeights, kept: Kept) -> dict[str, Tensor]:
    """Give `full` the shared values, zero where nothing is read; the masks, 1 where something is."""
    masks = {}
    with torch.no_grad():
        for name, parameter in full.named_parameters():
            masks[name] = torch.ones_like(parameter)
            for axis, elements in kept.get(name, ()):
                alive = torch.zeros(parameter.shape[axis])
                alive[list(elements)] = 1
                masks[name] *= alive.view([-1 if a == axis else 1 for a in range(parameter.ndim)])
            shared = weights.get_parameter(name)
            assert shared.shape == parameter.shape, name
            parameter.copy_(shared * masks[name])
    assert kept.keys() <= masks.keys()
    return masks


def assert_equal_outputs_and_gradients(
    borrowed: nn.Module, full: nn.Module, weights: SharedWeights, kept: Kept, inputs: Tensor
) -> None:
    """In double precision; some steps of the library's models are in single precision nevertheless."""
    masks = silence(full, weights, kept)
    wanted = full(inputs)
    torch.testing.assert_close(borrowed(inputs), wanted, rtol=1e-4, atol=1e-5)
    borrowed(inputs).square().sum().backward()
    wanted.square().sum().backward()
    for name, parameter in full.named_parameters():
        found = weights.get_parameter(name).grad
        assert found is not None, name
        assert parameter.grad is not None
        torch.testing.assert_close(found, parameter.grad * masks[name], rtol=1e-4, atol=1e-5)
