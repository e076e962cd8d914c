"""Owns which architectures can still be proposed: the space or the pool, less what was told or asked for."""

from __future__ import annotations

import bisect
import copy
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from predictors.features import FeatureLayout

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    import numpy.typing as npt

    from predictors.features import Features
    from runner.search.problem import Problem
    from search_spaces import Architecture

_MUTATIONS = 32  # tries to find an unmeasured architecture near a measured one before drawing at random


class Supply:
    """The architectures that are left. Only `take` changes it."""

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._pool = problem.candidates
        self._positions = None if self._pool is None else {a: i for i, a in enumerate(self._pool)}
        self.size = problem.space.size() if self._pool is None else len(self._pool)
        self._taken: set[Architecture] = set()
        self._taken_indices: list[int] = []  # ascending

    def take(self, architecture: Architecture) -> None:
        """Mark an architecture as no longer available; taking it again changes nothing."""
        if architecture not in self._taken:
            self._taken.add(architecture)
            index = self._index(architecture)
            if index is not None:
                bisect.insort(self._taken_indices, index)

    def releasing(self, architectures: Iterable[Architecture]) -> Supply:
        """What was left before these were taken; this supply stays as it is."""
        earlier = copy.copy(self)
        released = set(architectures) & self._taken
        earlier._taken = self._taken - released
        indices = {self._index(architecture) for architecture in released}
        earlier._taken_indices = [index for index in self._taken_indices if index not in indices]
        return earlier

    @property
    def remaining(self) -> int:
        """How many architectures are left."""
        return self.size - len(self._taken_indices)

    @property
    def pooled(self) -> bool:
        """Whether a pool was given."""
        return self._pool is not None

    def free_indices(self) -> npt.NDArray[np.int64]:
        """The positions in `everything` of those left, ascending."""
        free = np.ones(self.size, dtype=np.bool_)
        free[self._taken_indices] = False
        return np.flatnonzero(free)

    def available(self, architecture: Architecture) -> bool:
        """Whether this architecture can be proposed."""
        if architecture in self._taken:
            return False
        return self._positions is None or architecture in self._positions

    def draw(self, rng: random.Random) -> Architecture | None:
        """One of those left, each equally likely; None where nothing is left."""
        if self.remaining == 0:
            return None
        rank = rng.randrange(self.remaining)
        # The entry at i has taken[i] - i free positions before it.
        before = bisect.bisect_right(range(len(self._taken_indices)), rank, key=lambda i: self._taken_indices[i] - i)
        return self.at(rank + before)

    def at(self, index: int) -> Architecture:
        """The architecture at a position, available or not."""
        return self._space.architecture_at(index) if self._pool is None else self._pool[index]

    def everything(self) -> list[Architecture]:
        """All architectures, available or not, by position. Only for finite sizes that fit in memory."""
        return list(self._space.enumerate()) if self._pool is None else list(self._pool)

    def nearest(self, architecture: Architecture, rng: random.Random) -> Architecture | None:
        """This architecture if it is left, else one near it, else any.

        In a pool "near" is the smallest distance between answers, ties to the first. In a space it is what a
        few mutations in a row reach first.
        """
        if self.available(architecture):
            return architecture
        if self.remaining == 0:
            return None
        if self._pool is not None:
            here = self._layout.extract([architecture]).decisions[0]
            distance = ((self._pool_features.decisions - here) ** 2).sum(axis=1)
            distance[self._taken_indices] = np.inf
            return self._pool[int(np.argmin(distance))]
        moved = architecture
        for _ in range(_MUTATIONS):
            moved = self._space.mutate(moved, rng)
            if self.available(moved):
                return moved
        return self.draw(rng)

    def _index(self, architecture: Architecture) -> int | None:
        if self._positions is not None:
            return self._positions.get(architecture)
        return self._space.index_of(architecture)

    @cached_property
    def _layout(self) -> FeatureLayout:
        return FeatureLayout.of(self._space)

    @cached_property
    def _pool_features(self) -> Features:
        return self._layout.extract(self._pool or ())
