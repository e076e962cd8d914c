"""Which choices decide about a metric.

A model of boosted trees learns the metric from the choices; a choice is as important as the model is worse, on rows
that it has not seen, where the answers to that choice are shuffled (Breiman 2001; Fisher, Rudin and Dominici 2019).
Taken rather than PED-ANOVA, because that looks at one choice at a time and at the best rows alone, while here a choice
that matters only together with another one is found too, and how well the model ranks unseen rows says what the numbers
are worth.  All layers' choices of one kind are shuffled together: each for itself they would share what the kind does
among them, and the model would replace the one by the others.

What a choice does, in which direction, and its best and worst values are plain means of the rows, which nobody has to
believe a model for; of a kind of choice, lines through the shares of its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.insight.boosting import TREES, Boosted
from runner.insight.encoding import INACTIVE, encode, is_value, order_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from runner.insight.encoding import Answers, Encoded, Unit
    from search_spaces.values import Value

    Floats = NDArray[np.float64]

METHOD = "permutation importance of boosted trees, on left-out rows"
Direction = Literal["raises", "lowers", "mixed"]
_FOLDS = 3
_SHUFFLES = 3
_FEWEST = 3  # rows behind the mean of a value, where there are such values
_RIDGE = 0.2  # of the lines through shares: shares that hardly differ between the rows say little
_FLAT = 0.1  # of the difference between the largest and the smallest mean: a step of this size has no direction


@dataclass(frozen=True, kw_only=True)
class Importance:
    """What one choice, or one kind of choice, does to a metric."""

    choice: str
    share: float  # of what all choices explain
    direction: Direction  # what larger values do to the metric; mixed also for words
    best: Value
    worst: Value
    effect: float  # the mean at the worst value less that at the best, in the metric's unit


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What decides about one metric."""

    agreement: float  # Spearman's rho of unseen rows with what the model says of them; 0 where it is not defined
    importances: tuple[Importance, ...]  # the most important first


def judge(units: Sequence[Unit], targets: Floats, *, maximize: bool, seed: int = 0) -> Judged:
    """What each of the units does to a metric, of which each row has a value."""
    if not units or np.ptp(targets) == 0:
        return Judged(agreement=0.0, importances=())
    scaled = (targets - targets.mean()) / targets.std()
    agreement, worse = _crossed(encode(units), scaled, np.random.default_rng(seed))
    gains = np.maximum(worse, 0.0)
    shares = gains / gains.sum() if gains.sum() > 0 else gains
    found = [_importance(unit, float(share), targets, maximize) for unit, share in zip(units, shares, strict=True)]
    return Judged(agreement=agreement, importances=tuple(sorted(found, key=lambda each: -each.share)))


def spearman(first: Floats, second: Floats) -> float:
    """The rank correlation of two lists; 0 where one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Floats) -> Floats:
    """Equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _crossed(encoded: Encoded, targets: Floats, rng: np.random.Generator) -> tuple[float, Floats]:
    """How well left-out rows are ranked, and how much worse they are predicted where each unit is shuffled."""
    predicted = np.zeros(len(targets))
    worse = np.zeros(len(encoded.units))
    for left_out in np.array_split(rng.permutation(len(targets)), _FOLDS):
        known = np.ones(len(targets), dtype=np.bool_)
        known[left_out] = False
        model = Boosted.fit(encoded.columns[known], targets[known], rng)
        seen, wanted = encoded.columns[left_out], targets[left_out]
        parts = model.parts(seen, np.arange(TREES))
        predicted[left_out] = model.mean + parts.sum(axis=0)
        error = np.square(predicted[left_out] - wanted).sum()
        for unit in range(len(encoded.units)):
            own = encoded.owners == unit
            trees = model.using(own)  # the others say what they said
            for _ in range(_SHUFFLES if len(trees) else 0):
                changed = model.parts(seen, trees, own, rng.permutation(len(seen))) - parts[trees]
                worse[unit] += np.square(predicted[left_out] + changed.sum(axis=0) - wanted).sum() - error
    return spearman(predicted, targets), worse


def _importance(unit: Unit, share: float, targets: Floats, maximize: bool) -> Importance:
    values, means = marginal_means(unit, targets)
    better = int(means.argmax() if maximize else means.argmin())
    worse = int(means.argmin() if maximize else means.argmax())
    ordered = all(member.ordered for member in unit.members)
    return Importance(
        choice=unit.name,
        share=share,
        direction=_direction(means) if ordered else "mixed",
        best=values[better],
        worst=values[worse],
        effect=float(abs(means[worse] - means[better])),
    )


def marginal_means(unit: Unit, targets: Floats) -> tuple[tuple[Value, ...], Floats]:
    """The values of a unit in their order, and how far the mean of the rows with each lies from that of all.

    Of a kind of choice it is what a straight line expects of rows all of whose layers have the value: its members often
    have the same value, so that the differences of each for itself would be counted several times.  Values that fewer
    than three rows have are left out, unless fewer than two values would be left.
    """
    for fewest in (_FEWEST, 1):
        found = _means(unit.members[0], targets, fewest) if len(unit.members) == 1 else _lines(unit, targets, fewest)
        if len(found) > 1:
            break
    values, means = zip(*found, strict=True)
    return values, np.array(means)


def _lines(unit: Unit, targets: Floats, fewest: int) -> list[tuple[Value, float]]:
    """By value, where a linear model of the shares of all values lies at a share of one."""
    has = {
        (type(value), value): np.stack([is_value(member, value) for member in unit.members], axis=1).sum(axis=1)
        for value in sorted({(type(v), v): v for member in unit.members for v in member.values}.values(), key=order_of)
    }
    has = {key: count for key, count in has.items() if (count > 0).sum() >= fewest}
    if not has:
        return []
    counts = np.stack(list(has.values()), axis=1)
    rows = counts.sum(axis=1) > 0
    shares = counts[rows] / counts[rows].sum(axis=1, keepdims=True)
    centred = shares - shares.mean(axis=0)
    inner = centred.T @ centred + _RIDGE * np.eye(len(has))
    slopes = np.linalg.solve(inner, centred.T @ (targets[rows] - targets[rows].mean()))
    middle = float(shares.mean(axis=0) @ slopes)
    return [(value, float(slope) - middle) for (_, value), slope in zip(has, slopes, strict=True)]


def _means(answers: Answers, targets: Floats, fewest: int) -> list[tuple[Value, float]]:
    applies = answers.codes != INACTIVE
    codes, those = answers.codes[applies], targets[applies]
    counts = np.bincount(codes, minlength=len(answers.values))
    sums = np.bincount(codes, weights=those, minlength=len(answers.values))
    return [
        (value, float(total / count - those.mean()))
        for value, count, total in zip(answers.values, counts, sums, strict=True)
        if count >= fewest
    ]


def _direction(means: Floats) -> Direction:
    steps, slack = np.diff(means), _FLAT * float(np.ptp(means))
    if slack == 0:
        return "mixed"
    if (steps >= -slack).all():
        return "raises"
    return "lowers" if (steps <= slack).all() else "mixed"
