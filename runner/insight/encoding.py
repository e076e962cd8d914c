"""The answers of architectures as yes-or-no columns, for trees; each column belongs to one choice or kind of choice.

Owns three decisions.  What a choice was is taken from the rows themselves, so that families of anybody's own are read
like ours.  Where a choice does not apply, its usual answer stands in: whether it applies is another choice's doing (the
depth's, say), which is to get the credit.  And choices that differ only in the number of their layer or block are one
kind, which has columns of its own beside those of its members: the mean over the layers, or the share of each value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from predictors.features import group_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from search_spaces.values import Value

    Codes = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

INACTIVE = -1
_MOST_SPLITS = 32  # of one choice
_GROUP_SPLITS = 8  # of the mean, or of one share


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """One choice in all rows."""

    name: str
    values: tuple[Value, ...]  # those that occur, numbers from the smallest
    codes: Codes  # into `values`, INACTIVE where the choice does not apply
    ordered: bool  # whether the values are numbers

    @cached_property
    def filled(self) -> Codes:
        """The codes with the usual answer where the choice does not apply."""
        known = self.codes[self.codes != INACTIVE]
        usual = int(np.median(known)) if self.ordered else int(np.bincount(known).argmax())
        return np.where(self.codes == INACTIVE, usual, self.codes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Unit:
    """What is judged as a whole: a choice, or all choices of one kind."""

    name: str
    members: tuple[Answers, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """Rows as columns of 0 and 1."""

    units: tuple[Unit, ...]
    columns: NDArray[np.float32]  # a row an architecture
    owners: Codes  # for each column the place of its unit


def read_answers(rows: Sequence[Mapping[str, Value]]) -> tuple[Answers, ...]:
    """Every choice that differs between the rows, those of the whole architecture before those of its layers."""
    names = sorted({name for row in rows for name in row}, key=lambda name: (group_name(name) != name, name))
    found = (_answers(name, [row.get(name) for row in rows]) for name in names)
    return tuple(answers for answers in found if len(answers.values) > 1)


def units_of(answers: Sequence[Answers]) -> tuple[Unit, ...]:
    """The choices by kind; a kind with one member has that one's name."""
    groups: dict[str, list[Answers]] = {}
    for each in answers:
        groups.setdefault(group_name(each.name), []).append(each)
    return tuple(
        Unit(name=name if len(members) > 1 else members[0].name, members=tuple(members))
        for name, members in groups.items()
    )


def encode(units: Sequence[Unit]) -> Encoded:
    """All columns, at least one a unit."""
    parts, owners = [], []
    for place, unit in enumerate(units):
        part = [_splits(member) for member in unit.members]
        if len(unit.members) > 1:
            part.append(_summary(unit))
        joined = np.concatenate(part, axis=1)
        parts.append(joined)
        owners += [place] * joined.shape[1]
    return Encoded(
        units=tuple(units),
        columns=np.concatenate(parts, axis=1).astype(np.float32),
        owners=np.array(owners, dtype=np.int64),
    )


def is_value(answers: Answers, value: Value) -> Flags:
    """In which rows a choice has a value."""
    same = [type(each) is type(value) and each == value for each in answers.values]
    flags: Flags = np.array([*same, False])[answers.codes]  # INACTIVE is the last one
    return flags


def order_of(value: Value) -> tuple[bool, float, str]:
    """What values are sorted by: numbers by size, words after them by the alphabet."""
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), type(value).__name__)


def _answers(name: str, column: Sequence[Value | None]) -> Answers:
    kinds = {(type(value), value): value for value in column if value is not None}  # 1, 1.0 and True differ
    values = sorted(kinds.values(), key=order_of)
    places = {(type(value), value): place for place, value in enumerate(values)}
    codes = [INACTIVE if value is None else places[type(value), value] for value in column]
    return Answers(
        name=name,
        values=tuple(values),
        codes=np.array(codes, dtype=np.int64),
        ordered=not any(isinstance(value, str) for value in values),
    )


def _splits(answers: Answers) -> Flags:
    """At most each value for numbers, each value for words; of many, some."""
    column = answers.filled[:, None]
    if answers.ordered:
        thresholds = np.arange(len(answers.values) - 1)
        return np.less_equal(column, thresholds[_some(len(thresholds), _MOST_SPLITS)])
    usual = np.argsort(-np.bincount(answers.filled, minlength=len(answers.values)), kind="stable")
    return np.equal(column, usual[:1] if len(usual) == 2 else usual[:_MOST_SPLITS])


def _summary(unit: Unit) -> Flags:
    """Thresholds of the mean over those members that apply, or of the share of each value."""
    values = sorted({(type(v), v): v for each in unit.members for v in each.values}.values(), key=order_of)
    active = np.stack([each.codes != INACTIVE for each in unit.members], axis=1)
    counted = np.maximum(active.sum(axis=1), 1)
    if all(each.ordered for each in unit.members):
        numbers = np.stack([np.array(each.values, dtype=np.float64)[each.filled] for each in unit.members], axis=1)
        ranks = np.searchsorted(np.unique(numbers), numbers)
        return _thresholds(np.where(active, ranks, 0).sum(axis=1) / counted)
    shares = []
    for value in values[:_MOST_SPLITS]:
        has = np.stack([is_value(each, value) for each in unit.members], axis=1)
        shares.append(_thresholds(has.sum(axis=1) / counted))
    return np.concatenate(shares, axis=1)


def _thresholds(column: Floats) -> Flags:
    thresholds = np.unique(column)[:-1]
    return np.less_equal(column[:, None], thresholds[_some(len(thresholds), _GROUP_SPLITS)])


def _some(count: int, most: int) -> Codes:
    """At most so many places among `count`, spread evenly."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))
