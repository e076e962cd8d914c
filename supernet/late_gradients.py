"""Gradients that wait for the end of their backward pass, to be moved to their places together.

Python that runs between two products of matrices finds their numbers in the caches where its own objects were, and
takes several times as long as in a loop of its own; at small batches that is a good part of a step.  So what small
products need is put aside while autograd runs, all places are prepared, and then nothing but the products is left.

What waits is bounded, and belongs to its backward pass: it goes when that fails.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supernet.shared_gradients import Compute, Place, SharedGradient

# Elements of the operands of a product, or of a gradient, up to which it is worth it.  What is larger takes so long
# that Python does not count, and to fetch its operands once more from memory does.
SMALL = 1 << 18
HELD_AT_MOST = 1 << 23  # elements that wait: 32 MiB in fp32


class Waiting:
    """What one backward pass has put aside."""

    def __init__(self) -> None:
        self._products: list[Iterable[tuple[Place, Compute]]] = []
        self._gradients: list[tuple[Place, Tensor]] = []
        self._held = 0

    def leave_products(self, products: Iterable[tuple[Place, Compute]], held: int) -> None:
        """Put aside products for places that take them; the operands have so many elements."""
        self._products.append(products)
        self._count(held)

    def leave(self, place: Place, gradient: Tensor) -> None:
        """Put aside a gradient that nobody else writes into."""
        self._gradients.append((place, gradient))
        self._count(gradient.numel())

    def _count(self, held: int) -> None:
        self._held += held
        if self._held > HELD_AT_MOST:
            self.deliver()

    def deliver(self) -> None:
        """Move to its place what waits."""
        products, gradients = self._products, self._gradients
        self._products, self._gradients, self._held = [], [], 0
        firsts: dict[SharedGradient, tuple[Place, Compute, Tensor]] = {}
        later: list[tuple[Place, Compute]] = []
        for place, compute in chain.from_iterable(products):
            room = None if place.target in firsts else place.room()
            if room is None:
                later.append((place, compute))
            else:
                firsts[place.target] = (place, compute, room)
        for _, compute, room in firsts.values():
            compute(out=room)
        for place, _, _ in firsts.values():
            place.filled()
        for place, compute in later:
            place.keep(compute())
        for place, gradient in gradients:
            place.keep(gradient)


def waiting(held: int) -> Waiting | None:
    """Where the backward pass that runs in this thread puts aside what holds so many elements.

    None if no pass runs, or if that is more than is worth it.
    """
    number = torch._C._current_graph_task_id() if held <= SMALL else -1
    if number < 0:
        return None
    found = _by_pass.get(number)
    if found is None:
        found = _by_pass[number] = Waiting()
        # The backward pass holds it from now on, and calls this at its end unless it fails.
        _engine.queue_callback(found.deliver)
    return found


_by_pass: WeakValueDictionary[int, Waiting] = WeakValueDictionary()
_engine: Any = torch.autograd.Variable._execution_engine
