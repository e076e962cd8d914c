"""Gradients of shared tensors, gathered from the slices that subnets computed.

It owns the buffers: one for each shared tensor, allocated the first time that a slice of it has a gradient and reused
from step to step.  Which slice is `slicing`'s business; who computes a slice's gradient is autograd's, or
`linear_gradient`'s.

Python between two products of matrices runs with cold caches, several times as long as in a loop of its own: what can
be known before the step is kept in a `Place`, and what happens for each gradient is few calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from supernet import slicing
from supernet.late_gradients import waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from supernet.slicing import Region, Slices

# Elements from which on it pays to know which part of a buffer must be zeroed.  The buffers of a 768-wide store take
# 340 MB, and to zero them all would be a third of a small subnet's step.  On a GPU zeroing is cheap and asking is not.
WORTH_KNOWING = 8192


class Compute(Protocol):
    """Computes a gradient, into `out` if that is given."""

    def __call__(self, *, out: Tensor | None = None) -> Tensor: ...


class SharedGradient:
    """The gradient of one shared tensor, and the buffer for it.

    The buffer is zero outside of the box `_written`, as long as nobody else writes into it.
    """

    def __init__(self, shared: nn.Parameter) -> None:
        self.shared = shared
        self.buffer: Tensor | None = None

    def forget(self, shared: nn.Parameter) -> None:
        """Drop the buffer: the shared tensor has moved, or changed its type."""
        self.shared, self.buffer = shared, None

    def begin(self, box: Slices | None) -> Tensor:
        """The buffer; outside of `box` it is zero, everywhere if there is none, inside it may hold anything."""
        values = self.buffer
        if values is None:
            return self._allocate()
        if self._is_only_ours(values):
            if box is not self._written and (box is None or not slicing.holds(box, self._written)):
                values[self._written].zero_()
        elif box != self._whole:
            values.zero_()
        return values

    def end(self, box: Slices) -> None:
        """What `begin` gave now holds the first gradient of a step, inside `box`."""
        values = self.buffer
        assert values is not None
        self._wrote(values, box)
        self.shared.grad = values

    def add(self, regions: tuple[Region, ...], box: Slices, gradient: Tensor) -> None:
        """Add to the gradient that there is, be it our buffer or somebody else's tensor."""
        total, values = self.shared.grad, self.buffer
        assert total is not None
        ours = total is values and total._version == self._version
        slicing.scatter_add(total, regions, gradient)
        if ours:  # else its version stays behind, and tells
            inside = slicing.holds(self._written, box)
            self._wrote(total, self._written if inside else slicing.around([box, self._written]))

    def _allocate(self) -> Tensor:
        values = self.buffer = torch.zeros_like(self.shared, requires_grad=False)
        self._whole = tuple(slice(0, size) for size in values.shape)
        self._corner = _bits_of_far_corner(values) if values.numel() >= WORTH_KNOWING and values.is_cpu else None
        self._written, self._reaches_corner = (slice(0, 0),) * values.ndim, values.ndim == 0
        self._version = values._version
        return values

    def _wrote(self, values: Tensor, box: Slices) -> None:
        """Remember a write of our own; outside of `box` everything is zero."""
        self._version = values._version
        if box is not self._written:
            self._written = box
            self._reaches_corner = all(s.stop == size for s, size in zip(box, values.shape, strict=True))

    def _is_only_ours(self, values: Tensor) -> bool:
        """Whether surely nobody else wrote into it.

        In-place operations (clipping, noise) count up the tensor's version.  Those through `.data` do not; but
        whatever changes a whole tensor changes its far corner too.
        """
        return (
            self._corner is not None
            and values._version == self._version
            and not self._reaches_corner
            and self._corner.item() == 0
        )


class Place:
    """Where the gradient of one borrowed parameter belongs: regions of a shared tensor."""

    def __init__(self, gradient: SharedGradient, regions: tuple[Region, ...]) -> None:
        self.regions = regions
        self.is_view = slicing.is_view(regions)
        self.target = gradient
        self._box = slicing.around([region.shared for region in regions])
        self._buffer: Tensor | None = None
        self._inside: Tensor | None = None  # of the buffer, what lies in the box

    def forget(self) -> None:
        """Drop what refers to a buffer that has been dropped."""
        self._buffer = self._inside = None

    def receive(self, leaf: Tensor) -> None:
        """Move a borrowed parameter's fresh gradient to its place in the shared gradient.

        The leaf itself keeps no gradient between backward passes, so nothing that replaces or drops `.grad`
        (`zero_grad`, `create_graph`) can leave it attached to an old buffer.
        """
        gradient = leaf.grad
        if gradient is None:  # delivered otherwise; torch calls a hook all the same
            return
        leaf.grad = None
        if torch.is_grad_enabled():  # with `create_graph`
            with torch.no_grad():
                self.keep(gradient)
        elif gradient.is_cpu and (late := waiting(gradient.numel())) is not None:
            late.leave(self, gradient)
        else:
            self.keep(gradient)

    def keep(self, gradient: Tensor) -> None:
        """Add a gradient that nobody else holds to the shared gradient."""
        target, box = self.target, self._box
        if gradient.is_sparse:
            gradient = gradient.to_dense()
        if target.shared.grad is not None:
            target.add(self.regions, box, gradient)
        elif target.buffer is None and not gradient.requires_grad and _is_alike(gradient, target.shared):
            target.shared.grad = gradient  # nobody else holds it
        elif self.is_view:
            self._inside_of(target.begin(box)).copy_(gradient)
            target.end(box)
        else:
            slicing.scatter_copy(target.begin(None), self.regions, gradient)
            target.end(box)

    def _inside_of(self, buffer: Tensor) -> Tensor:
        """What lies in the box.  To slice it anew each time would take as long as all the rest."""
        if self._buffer is not buffer or self._inside is None:
            self._buffer, self._inside = buffer, buffer[self._box]
        return self._inside

    def takes(self, like: Tensor) -> bool:
        """Whether a gradient computed from tensors on the CPU of the type of `like` can be computed or added here."""
        shared = self.target.shared
        if not self.is_view or not shared.is_cpu or like.dtype != shared.dtype:
            return False
        held = shared.grad
        return held is None or (
            held.layout == torch.strided and held.dtype == like.dtype and held.device == like.device
        )

    def add(self, compute: Compute) -> None:
        """Add what `compute` gives to the shared gradient, which takes it.

        The first of a step is computed in its place.  Later ones are computed beside it and then added: to add while
        multiplying is faster for small batches only, and rounds differently.
        """
        room = self.room()
        if room is None:
            self.target.add(self.regions, self._box, compute())
        else:
            compute(out=room)
            self.filled()

    def room(self) -> Tensor | None:
        """Where the first gradient of a step is to be written, all of it; None if there is one already."""
        if self.target.shared.grad is not None:
            return None
        return self._inside_of(self.target.begin(self._box))

    def filled(self) -> None:
        """The gradient stands in what `room` gave."""
        self.target.end(self._box)


class SharedGradients:
    """The gradients of the shared tensors that `shared` knows by name."""

    def __init__(self, shared: Mapping[str, nn.Parameter]) -> None:
        self._shared = shared
        self._by_name: dict[str, SharedGradient] = {}

    def place(self, name: str, regions: tuple[Region, ...]) -> Place:
        """Where the gradient of these regions of a shared tensor belongs."""
        if name not in self._by_name:
            self._by_name[name] = SharedGradient(self._shared[name])
        return Place(self._by_name[name], regions)

    def forget(self) -> None:
        """Drop all buffers: the shared tensors have moved, or changed their type."""
        for name, gradient in self._by_name.items():
            gradient.forget(self._shared[name])


_WHOLE_NUMBERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by their bytes


def _bits_of_far_corner(values: Tensor) -> np.ndarray[Any, Any] | None:
    """The last element of all as NumPy sees it, which is asked for its value in a tenth of the time.

    None for types as wide as no whole number is.
    """
    kind = _WHOLE_NUMBERS.get(values.itemsize)
    return None if kind is None else values[(slice(-1, None),) * values.ndim].view(kind).numpy()


def _is_alike(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
