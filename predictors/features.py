"""Owns the numbers by which models see architectures. What a model makes of them is its own business.

Two views of the same answers:

- *decisions*, one block of columns a choice, built so that the squared Euclidean distance between two rows is
  the distance between two answers: 1 between different answers of an unordered choice, the difference of
  positions (1 between the ends) for an ordered one, and 1 between "inactive" and anything else;
- *counts*, one block of columns a group of like choices ("layers.3.mixer" and "layers.5.mixer" both belong to
  "layers.*.mixer"): how many of them give each answer or, for ordered ones, at least each value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from search_spaces import Architecture, Ordinal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from search_spaces import Choice, SearchSpace, Value

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

INACTIVE = 0  # the index of "this choice does not apply"; the values of a choice follow from 1


@dataclass(frozen=True, kw_only=True)
class FeatureLayout:
    """Which column means what, for one search space."""

    choices: Mapping[str, Choice]
    groups: tuple[str, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> FeatureLayout:
        """The layout of a space: its choices in declared order, its groups in order of first appearance."""
        groups = dict.fromkeys(group_name(name) for name in space.names)
        return cls(choices={name: space.choices[name] for name in space.names}, groups=tuple(groups))

    def extract(self, architectures: Sequence[Architecture]) -> Features:
        """The features of some architectures of the space, one row each."""
        positions = self._positions
        rows = [[table.get(a.get(name), INACTIVE) for name, table in positions] for a in architectures]
        indices = np.array(rows, dtype=np.int64).reshape(len(architectures), len(self.choices))
        return Features(layout=self, indices=indices)

    @cached_property
    def decision_groups(self) -> IndexArray:
        """For each decision column, the position of its choice."""
        widths = [table.shape[1] for table in self._decision_tables]
        return np.repeat(np.arange(len(widths)), widths)

    @cached_property
    def count_columns(self) -> tuple[str, ...]:
        """What each count column counts, for example "layers.*.mixer=softmax" or "layers.*.heads>=2"."""
        names: list[str] = []
        for group, values in self._group_values.items():
            ordered = all(isinstance(choice, Ordinal) for choice in self._members(group))
            names += [f"{group}{'>=' if ordered else '='}{value}" for value in values]
        return tuple(names)

    @cached_property
    def count_groups(self) -> IndexArray:
        """For each count column, the position of its group."""
        widths = [len(values) for values in self._group_values.values()]
        return np.repeat(np.arange(len(widths)), widths)

    @cached_property
    def group_sizes(self) -> IndexArray:
        """For each group, how many choices belong to it."""
        return np.array([len(self._members(group)) for group in self.groups], dtype=np.int64)

    @cached_property
    def _positions(self) -> tuple[tuple[str, dict[object, int]], ...]:
        return tuple(
            (name, {value: index for index, value in enumerate(choice.values, start=INACTIVE + 1)})
            for name, choice in self.choices.items()
        )

    @cached_property
    def _decision_tables(self) -> tuple[FloatArray, ...]:
        """For each choice, the columns of each of its indices."""
        return tuple(
            _ordered_table(len(choice.values))
            if isinstance(choice, Ordinal)
            else np.eye(len(choice.values) + 1) * np.sqrt(0.5)
            for choice in self.choices.values()
        )

    @cached_property
    def _group_values(self) -> dict[str, list[Value]]:
        """For each group, the values that any member allows; 1 and True stay apart."""
        values: dict[str, list[Value]] = {}
        for group in self.groups:
            members = self._members(group)
            found = {(type(value), value): value for choice in members for value in choice.values}
            ordered = all(isinstance(choice, Ordinal) for choice in members)
            values[group] = sorted(found.values(), key=float) if ordered else list(found.values())
        return values

    @cached_property
    def _count_tables(self) -> tuple[FloatArray, ...]:
        """For each choice, what each of its indices adds to the count columns."""
        starts = dict(zip(self.groups, np.searchsorted(self.count_groups, range(len(self.groups))), strict=True))
        tables = []
        for name, choice in self.choices.items():
            group = group_name(name)
            values = self._group_values[group]
            ordered = all(isinstance(member, Ordinal) for member in self._members(group))
            table = np.zeros((len(choice.values) + 1, len(self.count_groups)))
            keys = [(type(value), value) for value in values]
            for index, value in enumerate(choice.values, start=INACTIVE + 1):
                position = keys.index((type(value), value))
                first = 0 if ordered else position
                table[index, starts[group] + first : starts[group] + position + 1] = 1.0
            tables.append(table)
        return tuple(tables)

    def _members(self, group: str) -> list[Choice]:
        return [choice for name, choice in self.choices.items() if group_name(name) == group]


@dataclass(frozen=True, kw_only=True)
class Features:
    """Some architectures as numbers, one row each."""

    layout: FeatureLayout
    indices: IndexArray  # for each choice the position of the answer, from 1; INACTIVE where it does not apply

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def decisions(self) -> FloatArray:
        """One block of columns a choice; squared distances are distances between answers."""
        blocks = [table[column] for table, column in zip(self.layout._decision_tables, self.indices.T, strict=True)]
        return np.hstack(blocks) if blocks else np.zeros((len(self), 0))

    @cached_property
    def counts(self) -> FloatArray:
        """One block of columns a group: how many of its choices give each answer."""
        total = np.zeros((len(self), len(self.layout.count_groups)))
        for table, column in zip(self.layout._count_tables, self.indices.T, strict=True):
            total += table[column]
        return total

    def architectures(self) -> Iterator[Architecture]:
        """The architectures that have these features."""
        values = [(name, choice.values) for name, choice in self.layout.choices.items()]
        for row in self.indices.tolist():
            answers = zip(values, row, strict=True)
            yield Architecture({name: known[i - 1] for (name, known), i in answers if i != INACTIVE})

    def distances_to(self, others: Features) -> FloatArray:
        """For each row the squared distance of its decisions to the nearest row of the others."""
        left, right = self.decisions, others.decisions
        squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
        return np.asarray((squares - 2.0 * left @ right.T).min(axis=1))

    def take(self, rows: Sequence[int] | IndexArray) -> Features:
        """Some of the rows, in the order given."""
        return Features(layout=self.layout, indices=self.indices[np.asarray(rows, dtype=np.int64)])

    def joined(self, other: Features) -> Features:
        """These rows followed by those of another table with the same layout."""
        return Features(layout=self.layout, indices=np.vstack([self.indices, other.indices]))


def group_name(name: str) -> str:
    """The name with every numeric part replaced: "layers.3.mixer" -> "layers.*.mixer"."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


def _ordered_table(count: int) -> FloatArray:
    """Thermometer columns for an ordered choice of so many values, with "inactive" at distance 1 from each.

    "Inactive" stands in the middle of every threshold (a squared distance of 1/4 to all values together) and
    carries the missing 3/4 in a column of its own.
    """
    table = np.zeros((count + 1, count))
    if count > 1:
        step = np.sqrt(1.0 / (count - 1))
        table[INACTIVE, : count - 1] = step / 2
        for index in range(1, count + 1):
            table[index, : index - 1] = step
        table[INACTIVE, count - 1] = np.sqrt(0.75)
    else:
        table[INACTIVE, 0] = 1.0
    return table
