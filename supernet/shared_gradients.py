"""Gradients of shared tensors, gathered from the slices that subnets computed.

It owns the buffers: one for each shared tensor, allocated the first time that a slice of it has a gradient and reused
from step to step.  Which slice is `slicing`'s business; who computes a slice's gradient is autograd's, or
`linear_gradient`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from supernet import slicing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supernet.slicing import Region, Slices

# Elements from which on it pays to know which part of a buffer must be zeroed.  The buffers of a 768-wide store take
# 340 MB, and to zero them all would be a third of a small subnet's step.  On a GPU zeroing is cheap and asking is not.
WORTH_KNOWING = 8192


class Compute(Protocol):
    """Computes a gradient, into `out` if that is given."""

    def __call__(self, *, out: Tensor | None = None) -> Tensor: ...


class _Buffer:
    """A tensor that is zero outside of the box `_written`, as long as nobody else writes into it."""

    def __init__(self, shared: Tensor) -> None:
        self.values = torch.zeros_like(shared, requires_grad=False)
        self._small = shared.numel() < WORTH_KNOWING or not shared.is_cpu
        self._corner = self.values[(slice(-1, None),) * shared.ndim]
        self._written: Slices = tuple(slice(0, 0) for _ in shared.shape)
        self._version = self.values._version

    def clear_around(self, regions: tuple[Region, ...]) -> None:
        """Make everything zero outside of `regions`, and inside too where that is less work."""
        if len(regions) == 1 and _sizes(regions[0].shared) == self.values.shape:
            return
        if self._small or not self._only_ours():
            self.values.zero_()
        elif not (len(regions) == 1 and _holds(regions[0].shared, self._written)):
            self.values[self._written].zero_()

    def _only_ours(self) -> bool:
        """Whether surely nobody else wrote into it.

        In-place operations (clipping, noise) count up the tensor's version.  Those through `.data` do not; but
        whatever changes a whole tensor changes its far corner too.
        """
        corner_in_box = all(s.stop == size for s, size in zip(self._written, self.values.shape, strict=True))
        return self.wrote_last() and not corner_in_box and self._corner.item() == 0

    def wrote_last(self) -> bool:
        """Whether the last in-place operation was our own."""
        return self.values._version == self._version

    def wrote(self, regions: tuple[Region, ...], *, anew: bool) -> None:
        """Remember a write of our own into `regions`; `anew` if everything else is zero."""
        if anew and len(regions) == 1:
            self._written = regions[0].shared
        elif not self._small:
            self._written = _around([region.shared for region in regions] + ([] if anew else [self._written]))
        self._version = self.values._version


class SharedGradients:
    """Puts the gradients of slices into the `.grad` of the shared tensors, which `shared` knows by name."""

    def __init__(self, shared: Mapping[str, nn.Parameter]) -> None:
        self._shared = shared
        self._buffers: dict[str, _Buffer] = {}

    def forget(self) -> None:
        """Drop all buffers: the shared tensors have moved, or changed their type."""
        self._buffers.clear()

    def receive(self, name: str, regions: tuple[Region, ...], leaf: Tensor) -> None:
        """Move a borrowed parameter's fresh gradient to its place in the shared gradient.

        The leaf itself keeps no gradient between backward passes, so nothing that replaces or drops `.grad`
        (`zero_grad`, `create_graph`) can leave it attached to an old buffer.
        """
        gradient, leaf.grad = leaf.grad, None
        if gradient is None:
            return
        shared = self._shared[name]
        with torch.no_grad():
            if gradient.is_sparse:
                gradient = gradient.to_dense()
            same = (gradient.shape, gradient.dtype, gradient.device) == (shared.shape, shared.dtype, shared.device)
            if shared.grad is None and same and not gradient.requires_grad and name not in self._buffers:
                shared.grad = gradient  # nobody else holds it
            elif shared.grad is None:
                slicing.scatter_copy(self._begin(name, regions), regions, gradient)
                self._buffers[name].wrote(regions, anew=True)
                shared.grad = self._buffers[name].values
            else:
                self._add(name, regions, gradient)

    def takes(self, name: str, like: Tensor) -> bool:
        """Whether what is computed from tensors like this one can be computed where the shared gradient is."""
        shared = self._shared[name]
        held = shared if shared.grad is None else shared.grad
        return (
            like.dtype == shared.dtype == held.dtype
            and like.device == shared.device == held.device
            and held.layout == torch.strided
        )

    def add(self, name: str, regions: tuple[Region, ...], compute: Compute) -> None:
        """Add what `compute` gives, the gradient of a slice of one region, to the shared gradient.

        The first of a step is computed in its place.  Later ones are computed beside it and then added: to add while
        multiplying is faster for small batches only, and rounds differently.
        """
        shared = self._shared[name]
        if shared.grad is not None:
            self._add(name, regions, compute())
            return
        values = self._begin(name, regions)
        compute(out=values[regions[0].shared])
        self._buffers[name].wrote(regions, anew=True)
        shared.grad = values

    def _begin(self, name: str, regions: tuple[Region, ...]) -> Tensor:
        """The buffer of a shared tensor; outside of `regions` it is zero, inside it may hold anything."""
        buffer = self._buffers.get(name)
        if buffer is None:
            buffer = self._buffers[name] = _Buffer(self._shared[name])
        else:
            buffer.clear_around(regions)
        return buffer.values

    def _add(self, name: str, regions: tuple[Region, ...], gradient: Tensor) -> None:
        """Add to the gradient that a shared tensor has, be it our buffer or somebody else's tensor."""
        total, buffer = self._shared[name].grad, self._buffers.get(name)
        assert total is not None
        ours = buffer is not None and buffer.values is total and buffer.wrote_last()
        slicing.scatter_add(total, regions, gradient)
        if buffer is not None and ours:  # else its version stays behind, and tells
            buffer.wrote(regions, anew=False)


@dataclass(frozen=True)
class Place:
    """Where the gradient of one borrowed parameter belongs."""

    gradients: SharedGradients
    name: str
    regions: tuple[Region, ...]

    def receive(self, leaf: Tensor) -> None:
        """`SharedGradients.receive`."""
        self.gradients.receive(self.name, self.regions, leaf)

    def takes(self, like: Tensor) -> bool:
        """`SharedGradients.takes`, for a slice of one region."""
        return slicing.is_view(self.regions) and self.gradients.takes(self.name, like)

    def add(self, compute: Compute) -> None:
        """`SharedGradients.add`."""
        self.gradients.add(self.name, self.regions, compute)


def _sizes(box: Slices) -> tuple[int, ...]:
    return tuple(s.stop - s.start for s in box)


def _around(boxes: list[Slices]) -> Slices:
    """The smallest box around all those that are not empty."""
    full = [box for box in boxes if all(_sizes(box))]
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*full, strict=True))


def _holds(outer: Slices, inner: Slices) -> bool:
    return outer is inner or all(
        out.start <= s.start and s.stop <= out.stop for out, s in zip(outer, inner, strict=True)
    )
