"""Ranks as threads of one process, for what needs no process of its own: quick, and to the bit what processes do.

Not for models with dropout: threads share one random state.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from supernet.training.reducer import Reducer

T = TypeVar("T")


class _Thread:
    def __init__(self, rank: int, ranks: int, barrier: threading.Barrier, table: dict[Any, Any]) -> None:
        self.rank, self.ranks = rank, ranks
        self._barrier, self._table = barrier, table

    def sum(self, tensors: Sequence[Tensor]) -> None:
        self._table[self.rank] = [tensor.detach().clone() for tensor in tensors]
        self._barrier.wait()
        with torch.no_grad():
            for position, tensor in enumerate(tensors):
                whole = self._table[0][position].clone()
                for rank in range(1, self.ranks):
                    whole += self._table[rank][position]
                tensor.copy_(whole)
        self._barrier.wait()

    def agree(self, make: Callable[[], T]) -> T:
        if self.rank == 0:
            self._table["word"] = json.dumps(make())
        self._barrier.wait()
        word: T = json.loads(self._table["word"])
        self._barrier.wait()
        return word


def in_threads(train: Callable[[Reducer], object], ranks: int = 2) -> None:
    """Call `train` as each rank.  Where one raises, the others get `BrokenBarrierError`; the first cause is raised."""
    barrier = threading.Barrier(ranks)
    table: dict[Any, Any] = {}

    def run(rank: int) -> None:
        try:
            train(_Thread(rank, ranks, barrier, table))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(ranks) as pool:
        futures = [pool.submit(run, rank) for rank in range(ranks)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
