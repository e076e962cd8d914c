"""Owns which unmeasured architectures an algorithm with a model looks at before it proposes some.

A small space or pool is looked at whole. Elsewhere the candidates of a batch are neighbours of the front,
mutations and crossovers of its members, and random rows. How promising they are is not known here.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from predictors.features import FeatureLayout, Features
from runner.search.moves import Moves

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from predictors.features import IndexArray
    from runner.search.problem import Problem
    from runner.search.supply import Supply
    from search_spaces import Architecture

WHOLE = 8192  # spaces and pools up to this size are looked at whole
_NEIGHBOURHOODS = 8  # parents whose neighbours are all looked at
_CHILDREN = 300  # mutations, and as many crossovers that are mutated
_STRANGERS = 300  # random rows
_POOL_NEAR = 4096  # of a larger pool, those nearest to the parents
_POOL_STRANGERS = 2048


class CandidateSource:
    """Finds candidates for one search. What it remembers does not depend on the course of the search."""

    def __init__(self, problem: Problem, supply: Supply) -> None:
        self._space = problem.space
        self._moves = Moves(problem.space)
        self._whole = supply.size <= WHOLE
        self._listed_by = supply.everything
        self.layout = FeatureLayout.of(problem.space)
        self.listed = supply.pooled or self._whole

    def around(self, parents: Features, supply: Supply, rng: np.random.Generator) -> Features:
        """Candidates, given the best architectures so far (at least one) and what is left."""
        if self._whole:
            return self._everything.take(supply.free_indices())
        if self.listed:
            return self._part_of_pool(parents, supply, rng)
        chosen = parents.indices[rng.permutation(len(parents))[:_NEIGHBOURHOODS]]
        first = parents.indices[rng.integers(0, len(parents), _CHILDREN)]
        second = parents.indices[rng.integers(0, len(parents), _CHILDREN)]
        rows = [
            self._moves.neighbours(chosen),
            self._moves.mutated(first, rng),
            self._moves.mutated(self._moves.crossed(first, second, rng), rng),
            self._moves.random(_STRANGERS, rng),
        ]
        return self._features(np.unique(np.vstack(rows), axis=0))

    def neighbours(self, rows: Features, *, beyond: Features) -> Features:
        """Neighbours of some candidates that are not among those looked at; none where all are listed."""
        if self.listed:
            return rows.take(np.zeros(0, dtype=np.int64))
        near = np.unique(self._moves.neighbours(rows.indices), axis=0)
        seen = {row.tobytes() for row in beyond.indices}
        return self._features(near[[row.tobytes() not in seen for row in near]])

    def realised(self, rows: Features, supply: Supply) -> tuple[list[Architecture], Features]:
        """The architectures of those rows that are allowed and still available, each with its row."""
        kept, architectures = [], []
        for number, architecture in enumerate(self._architectures(rows)):
            if supply.available(architecture) and self._allowed(architecture):
                kept.append(number)
                architectures.append(architecture)
        return architectures, rows.take(np.array(kept, dtype=np.int64))

    def _architectures(self, rows: Features) -> Iterable[Architecture]:
        if not self.listed:
            return rows.architectures()
        return (self._listing[row.tobytes()] for row in rows.indices)

    def _allowed(self, architecture: Architecture) -> bool:
        return self.listed or not self._space.constraints or self._space.contains(architecture)

    def _features(self, rows: IndexArray) -> Features:
        return Features(layout=self.layout, indices=rows)

    def _part_of_pool(self, parents: Features, supply: Supply, rng: np.random.Generator) -> Features:
        free = supply.free_indices()
        decisions = self._everything.decisions[free]
        distance = np.full(len(free), np.inf)
        for row in parents.decisions:  # one at a time: a large pool times a long front would not fit in memory
            np.minimum(distance, ((decisions - row) ** 2).sum(axis=1), out=distance)
        near = np.argsort(distance, kind="stable")[:_POOL_NEAR]
        strangers = rng.permutation(len(free))[:_POOL_STRANGERS]
        return self._everything.take(free[np.union1d(near, strangers)])

    @cached_property
    def _list(self) -> Sequence[Architecture]:
        return self._listed_by()

    @cached_property
    def _everything(self) -> Features:
        return self.layout.extract(self._list)

    @cached_property
    def _listing(self) -> dict[bytes, Architecture]:
        rows = self._everything.indices
        return {row.tobytes(): architecture for row, architecture in zip(rows, self._list, strict=True)}
