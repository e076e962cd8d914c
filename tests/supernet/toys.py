"""Small elastic models and helpers that several tests of shared weights use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from search_spaces import Architecture, Choice, Ordinal, SearchSpace
from supernet import SharedWeights

Loss = Callable[[Callable[[Tensor], Tensor]], Tensor]


def width_space(*widths: int) -> SearchSpace:
    """One choice, `width`."""
    return SearchSpace({"width": Ordinal(*(widths or (2, 3, 4)))})


def of_width(width: int) -> Architecture:
    return Architecture({"width": width})


def space_of(**choices: Choice) -> SearchSpace:
    return SearchSpace(choices)


class Perceptron(nn.Module):
    """Five features to `width` to two."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(5, width)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.tanh(self.hidden(x)))
        return out


def perceptron(architecture: Architecture) -> nn.Module:
    return Perceptron(int(architecture["width"]))


def perceptrons(**options: int) -> SharedWeights:
    """Randomised shared weights of `perceptron` over the widths 2, 3 and 4."""
    return randomise(SharedWeights(perceptron, width_space(), **options))


def randomise(weights: SharedWeights, seed: int = 1) -> SharedWeights:
    """Every element drawn anew: ones and zeros would hide a wrong slice."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return weights


def inputs(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradients(weights: SharedWeights) -> dict[str, Tensor | None]:
    """Copies, since buffers are reused."""
    return {n: None if p.grad is None else p.grad.clone() for n, p in weights.named_parameters()}


def reference_gradients(
    build: Callable[[Architecture], nn.Module],
    weights: SharedWeights,
    losses: Mapping[Architecture, Loss],
) -> dict[str, Tensor | None]:
    """Gradients of the summed losses through ordinary slicing, by autograd; for leading slices only."""
    shared = dict(weights.named_parameters())
    total = torch.zeros(())
    for architecture, loss in losses.items():
        module = build(architecture)
        sliced = {
            name: shared[name][tuple(slice(n) for n in parameter.shape)]
            for name, parameter in module.named_parameters()
        }

        def call(x: Tensor, module: nn.Module = module, sliced: dict[str, Tensor] = sliced) -> Tensor:
            out: Tensor = torch.func.functional_call(module, sliced, (x,), tie_weights=True)
            return out

        total = total + loss(call)
    found = torch.autograd.grad(total, list(shared.values()), allow_unused=True)
    return dict(zip(shared, found, strict=True))


def assert_same_gradients(
    got: Mapping[str, Tensor | None], wanted: Mapping[str, Tensor | None], **tolerance: float
) -> None:
    """Exactly equal unless a tolerance is given; None only where None is wanted."""
    assert got.keys() == wanted.keys()
    for name, value in got.items():
        expected = wanted[name]
        assert (value is None) == (expected is None), name
        if value is not None and expected is not None:
            torch.testing.assert_close(value, expected, **(tolerance or {"rtol": 0.0, "atol": 0.0}))
