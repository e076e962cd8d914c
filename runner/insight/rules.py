"""Short rules: under which conditions a metric is clearly better than elsewhere.

A tree of depth three is grown on one half of the rows, and each of its nodes is judged by the other half, so that what
was found by looking is not also proved by it (honest trees: Athey and Imbens 2016).  Only choices that apply to every
row take part: a condition then means the same for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.insight.boosting import DEPTH, best_split
from runner.insight.encoding import INACTIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from runner.insight.encoding import Answers
    from search_spaces.values import Value

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

MOST = 6
_OF_ONE_METRIC = 2
_FEWEST_ROWS = 24
_FEWEST = 5  # rows of each half that fulfil a rule
_CLEAR_T = 3.5  # Welch's t on the half that did not find the rule
_CLEAR_STEP = 0.5  # of the standard deviation of all rows, between those that fulfil it and the rest

Comparison = Literal["is", "is not", "at most", "at least"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a rule asks of one choice."""

    choice: str
    comparison: Comparison
    value: Value


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Rows that fulfil all conditions are better in a metric."""

    metric: str
    conditions: tuple[Condition, ...]
    support: int  # rows that fulfil them
    mean: float  # of the metric over those
    rest: float  # and over the others


@dataclass(frozen=True, eq=False)
class _Split:
    """One question to all rows: for numbers whether at most this value, for words whether this one."""

    answers: Answers
    place: int

    def yes(self) -> Flags:
        codes = self.answers.codes
        return codes <= self.place if self.answers.ordered else codes == self.place


_Path = tuple[tuple[_Split, bool], ...]


def find_rules(
    answers: Sequence[Answers], targets: Mapping[str, Floats], maximized: Iterable[str], seed: int = 0
) -> tuple[Rule, ...]:
    """At most six rules, the clearest of each metric in turn; none where nothing is clear."""
    splits = [split for each in answers if (each.codes != INACTIVE).all() for split in _splits(each)]
    signs = {metric: -1.0 if metric in set(maximized) else 1.0 for metric in targets}
    of_each = [_rules_of(metric, splits, targets[metric], signs[metric], seed) for metric in targets]
    turns = [rules[turn] for turn in range(_OF_ONE_METRIC) for rules in of_each if turn < len(rules)]
    return tuple(turns[:MOST])


def _splits(answers: Answers) -> Iterator[_Split]:
    last = len(answers.values) - (1 if answers.ordered else 0)
    return (_Split(answers, place) for place in range(last))


def _rules_of(metric: str, splits: Sequence[_Split], values: Floats, sign: float, seed: int) -> list[Rule]:
    if len(values) < _FEWEST_ROWS or not splits or np.ptp(values) == 0:
        return []
    columns = np.stack([split.yes() for split in splits], axis=1)
    found_by = np.zeros(len(values), dtype=np.bool_)
    found_by[np.random.default_rng(seed).permutation(len(values))[: len(values) // 2]] = True
    # Smaller is better from here on.
    scores = sign * (values - values.mean()) / values.std()
    nodes = [
        (_clearness(inside[~found_by], scores[~found_by]), path, inside)
        for path, inside in _nodes(splits, columns, scores, found_by)
        if (inside & found_by).sum() >= _FEWEST
    ]
    chosen: list[tuple[_Path, Flags]] = []
    for clear, path, inside in sorted(nodes, key=lambda node: -node[0]):
        apart = all(not (inside & other).any() for _, other in chosen)
        if clear >= _CLEAR_T and apart and len(chosen) < _OF_ONE_METRIC:
            chosen.append((path, inside))
    return [
        Rule(
            metric=metric,
            conditions=_conditions(path),
            support=int(inside.sum()),
            mean=float(values[inside].mean()),
            rest=float(values[~inside].mean()),
        )
        for path, inside in chosen
    ]


def _nodes(splits: Sequence[_Split], columns: Flags, scores: Floats, found_by: Flags) -> Iterator[tuple[_Path, Flags]]:
    """Every node below the root of a tree that is grown on some rows, with all rows that come to it."""
    level: list[tuple[_Path, Flags]] = [((), np.ones(len(scores), dtype=np.bool_))]
    numbers = columns.astype(np.float32)
    for _ in range(DEPTH):
        below: list[tuple[_Path, Flags]] = []
        for path, inside in level:
            rows = inside & found_by
            best = best_split(numbers[rows], scores[rows] - scores[rows].mean(), _FEWEST) if rows.any() else None
            if best is not None:
                below.append(((*path, (splits[best], True)), inside & columns[:, best]))
                below.append(((*path, (splits[best], False)), inside & ~columns[:, best]))
        yield from below
        level = below


def _clearness(inside: Flags, scores: Floats) -> float:
    """Welch's t of the others less these, 0 where they are too few or not far apart."""
    these, others = scores[inside], scores[~inside]
    if len(these) < _FEWEST or len(others) < _FEWEST or others.mean() - these.mean() < _CLEAR_STEP:
        return 0.0
    spread = math.sqrt(these.var(ddof=1) / len(these) + others.var(ddof=1) / len(others))
    return math.inf if spread == 0 else float((others.mean() - these.mean()) / spread)


def _conditions(path: _Path) -> tuple[Condition, ...]:
    """A path in as few conditions as say the same, in the order in which its choices are met."""
    left: dict[str, tuple[Answers, set[int]]] = {}
    for split, yes in path:
        answers = split.answers
        _, places = left.setdefault(answers.name, (answers, set(range(len(answers.values)))))
        fulfilled = set(range(split.place + 1)) if answers.ordered else {split.place}
        places &= fulfilled if yes else set(range(len(answers.values))) - fulfilled
    return tuple(condition for answers, places in left.values() for condition in _said(answers, places))


def _said(answers: Answers, places: set[int]) -> Iterator[Condition]:
    """Which values are left, in words."""
    first, last, end = min(places), max(places), len(answers.values) - 1

    def condition(comparison: Comparison, place: int) -> Condition:
        return Condition(choice=answers.name, comparison=comparison, value=answers.values[place])

    if len(places) == 1:
        yield condition("is", first)
    elif not answers.ordered:
        yield from (condition("is not", place) for place in range(end + 1) if place not in places)
    else:
        if first > 0:
            yield condition("at least", first)
        if last < end:
            yield condition("at most", last)
