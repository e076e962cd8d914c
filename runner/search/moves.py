"""Owns moves on index rows: neighbours, mutations, crossovers and random rows, thousands in a millisecond.

`search_spaces` makes the same moves on architectures, exactly and within all constraints, at a tenth of a
millisecond each: too slow for the thousands of candidates that a model can rank. Rows made here follow the
conditions of the space; constraints are Python functions, which only the space can ask, so the few rows that
are proposed in the end must be checked there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from predictors.features import INACTIVE, IndexArray
from search_spaces import Ordinal

BoolArray = npt.NDArray[np.bool_]

if TYPE_CHECKING:
    from search_spaces import SearchSpace


class Moves:
    """The moves of one space. Rows hold the position of each answer from 1, or INACTIVE."""

    def __init__(self, space: SearchSpace) -> None:
        position = {name: index for index, name in enumerate(space.names)}
        self._sizes = np.array([len(choice.values) for choice in space.choices.values()], dtype=np.int64)
        self._ordered = [isinstance(choice, Ordinal) for choice in space.choices.values()]
        # For each choice: the earlier choices it depends on, and which of their indices activate it.
        self._needs: list[list[tuple[int, BoolArray]]] = []
        for name in space.names:
            needs = []
            for condition in space.conditions.get(name, ()):
                choice = space.choices[condition.choice]
                table = np.array([False, *(value in condition.values for value in choice.values)])
                needs.append((position[condition.choice], table))
            self._needs.append(needs)

    def random(self, count: int, rng: np.random.Generator) -> IndexArray:
        """Rows in which each active answer is equally likely."""
        return self._settled(1 + rng.integers(0, self._sizes, size=(count, len(self._sizes))), rng)

    def mutated(self, rows: IndexArray, rng: np.random.Generator) -> IndexArray:
        """Each row with one or a few of its answers drawn anew."""
        active = np.maximum((rows != INACTIVE).sum(axis=1, keepdims=True), 1)
        drawn = 1 + rng.integers(0, self._sizes, size=rows.shape)
        # Half the rows change about one answer, half about two; an answer may be drawn as it was.
        rate = rng.choice([1.5, 3.0], size=(len(rows), 1)) / active
        changed = (rng.random(rows.shape) < rate) & (rows != INACTIVE)
        return self._settled(np.where(changed, drawn, rows), rng)

    def crossed(self, first: IndexArray, second: IndexArray, rng: np.random.Generator) -> IndexArray:
        """Each answer from one parent or the other."""
        return self._settled(np.where(rng.random(first.shape) < 0.5, first, second), rng)

    def neighbours(self, rows: IndexArray) -> IndexArray:
        """Every row in which one decision differs: the next value of an ordered choice, any of another.

        Choices that become active take their smallest value.
        """
        found = [rows[:0]]
        for column, size in enumerate(self._sizes.tolist()):
            own = rows[rows[:, column] != INACTIVE]
            steps = (-1, 1) if self._ordered[column] else range(1, size)
            for step in steps:
                moved = own.copy()
                if self._ordered[column]:
                    moved[:, column] += step
                    moved = moved[(moved[:, column] >= 1) & (moved[:, column] <= size)]
                else:
                    moved[:, column] = 1 + (moved[:, column] - 1 + step) % size
                found.append(moved)
        return self._settled(np.vstack(found), None)

    def _settled(self, rows: IndexArray, rng: np.random.Generator | None) -> IndexArray:
        """Rows that keep the conditions: inactive answers dropped, missing ones drawn, or the smallest."""
        for column, needs in enumerate(self._needs):
            active = np.ones(len(rows), dtype=np.bool_)
            for earlier, table in needs:
                active &= table[rows[:, earlier]]
            missing = active & (rows[:, column] == INACTIVE)
            filled = 1 if rng is None else 1 + rng.integers(0, self._sizes[column], size=int(missing.sum()))
            rows[missing, column] = filled
            rows[~active, column] = INACTIVE
        return rows
