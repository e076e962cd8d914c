"""What the processes of one training exchange: sums of gradients, and small values on which all of them agree.

Each process is a *rank*.  All ranks train the same architectures of a step, each on its own rows of the batch; nothing
is exchanged behind their backs.  How words travel between processes is the business of whoever implements `Reducer`
(`process_group` over torch.distributed); a training in one process is `Alone`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

T = TypeVar("T")


class Reducer(Protocol):
    """One rank's connection to the others.  All ranks call the same methods in the same order."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        ...

    @property
    def ranks(self) -> int:
        """How many processes there are."""
        ...

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, in place, by its sum over all ranks: to the bit the same on each of them."""
        ...

    def agree(self, make: Callable[[], T]) -> T:
        """What `make` returns on rank 0, on all ranks: plain data, as JSON has it.  Others do not call theirs.

        Where it raises, rank 0 raises the same and the others `RankFailed`.
        """
        ...


class Alone:
    """The only process of a training."""

    rank = 0
    ranks = 1

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Nothing: there is nobody to add."""

    def agree(self, make: Callable[[], T]) -> T:
        """What `make` returns."""
        return make()


def any_rank(reducer: Reducer, flag: bool) -> bool:
    """Whether the flag is set on any rank."""
    if reducer.ranks == 1:
        return flag
    count = torch.tensor([float(flag)])
    reducer.sum([count])
    return bool(count.item() > 0)


@torch.no_grad()
def take_over(reducer: Reducer, tensors: Sequence[Tensor]) -> None:
    """Give all ranks the values of rank 0, in place: a sum to which nobody else adds."""
    if reducer.rank > 0:
        for tensor in tensors:
            tensor.zero_()
    reducer.sum(tensors)


def reduce_gradients(reducer: Reducer, parameters: Sequence[nn.Parameter], loss: float) -> float:
    """Make the gradients of a rank those of the whole batch, and return the loss of the whole batch.

    Gradients and loss must be weighed already, so that their sums are what is wanted.  A parameter that any rank
    touched has a gradient on every rank afterwards, the others keep `None`: so all optimizers do the same.
    """
    if reducer.ranks == 1:
        return loss
    said = torch.tensor([loss, *(parameter.grad is not None for parameter in parameters)], dtype=torch.float64)
    reducer.sum([said])
    whole, *touched = said.tolist()
    gradients = []
    for parameter, count in zip(parameters, touched, strict=True):
        if count == 0:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    reducer.sum(gradients)
    return float(whole)
