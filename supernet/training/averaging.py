"""The average of a model's weights over its steps, which scores better than the weights of any one step.

Owns the formula and the exchange of the averaged tensors for the trained ones.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor


class Average:
    """The exponentially weighted mean of `live` tensors: after t updates, sum of d^(t-i) w_i over sum of d^(t-i).

    The weights always sum to one, so that what it began with leaves no trace (as in Adam: Kingma & Ba 2015, section
    3).  Integer tensors are not averaged but taken over.
    """

    def __init__(self, live: Mapping[str, Tensor], decay: float) -> None:
        self._live = live
        self._decay = decay
        self.tensors = {name: tensor.clone() for name, tensor in live.items()}

    @torch.no_grad()
    def update(self, count: int) -> None:
        """Take in the live tensors; this is update number `count`, from 1."""
        share = (1 - self._decay) / (1 - self._decay**count)
        for name, tensor in self._live.items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, share)
            else:
                self.tensors[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the live tensors hold the average; afterwards their own values again, bit by bit."""
        kept = {name: tensor.clone() for name, tensor in self._live.items()}
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in self._live.items():
                    tensor.copy_(kept[name])

    @torch.no_grad()
    def put(self) -> None:
        """Copy the average into the live tensors, for good."""
        for name, tensor in self._live.items():
            tensor.copy_(self.tensors[name])
