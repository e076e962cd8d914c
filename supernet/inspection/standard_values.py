"""One fixed value for every element of every parameter: what makes the outputs of two builds comparable.

A factory's own initial values hide mistakes (zeros, ones, a seed); these are the same for the same parameter name, in
every architecture the part that its layout gives it.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet import slicing
from supernet.errors import LayoutError, ShapeTooLarge
from supernet.modes import evaluation_mode
from supernet.skeleton import leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supernet.slicing import Layouts, Shape


class StandardValues:
    """The values, for shared tensors of the given sizes; they are made once."""

    def __init__(self, sizes: Mapping[str, Shape], layouts: Layouts) -> None:
        self._sizes = sizes
        self._layouts = layouts
        self._made: dict[str, Tensor] = {}

    @torch.no_grad()
    def put_into(self, module: nn.Module) -> nn.Module:
        """Replace the values of all parameters of `module`.  Returns it."""
        for leaf, parameter in zip(leaves(module), module.parameters(), strict=True):
            if not parameter.is_floating_point() or parameter.is_meta:
                continue
            shared = self._value(leaf.name, leaf.shape)
            try:
                regions = self._layouts.regions(leaf.name, tuple(shared.shape), leaf.shape, leaf.layout)
            except (LayoutError, ShapeTooLarge):  # found elsewhere, and said there
                shared, regions = self._made_for(leaf.name, leaf.shape), slicing.LEADING.regions(leaf.shape, leaf.shape)
            parameter.copy_(slicing.gather(shared, regions, torch.empty(leaf.shape)))
        return module

    def _value(self, name: str, shape: Shape) -> Tensor:
        if name not in self._made:
            self._made[name] = self._made_for(name, self._sizes.get(name, shape))
        return self._made[name]

    @staticmethod
    def _made_for(name: str, shape: Shape) -> Tensor:
        """Scales near one, and maps that keep the size of what they are given: no output saturates."""
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        drawn = torch.randn(shape, generator=generator)
        return 1 + 0.1 * drawn if len(shape) < 2 else drawn / math.sqrt(max(1, math.prod(shape[1:])))


@torch.no_grad()
def output_digest(module: nn.Module, inputs: Tensor, *, training: bool = False) -> str:
    """A digest of what a module computes, in evaluation mode or, with one fixed seed, in training mode."""
    with evaluation_mode(module), torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        if training:
            module.train()
        return digest_of(module(inputs))


def digest_of(value: object) -> str:
    """A digest of a tensor's type, shape and values; of anything else, of the tensors in it."""
    digest = hashlib.sha256()
    for tensor in torch.utils._pytree.tree_leaves(value):
        if isinstance(tensor, Tensor):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
            if not tensor.is_meta:
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
