"""Whether a promise is kept: how each kind of number ranks the points of a study like the kind before it.

A point is chosen by what it scores with shared weights; it is then retrained, and its file is measured.  Owns which
points and kinds are compared, and the words for it; the correlations are `predictors.ranking`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from predictors.ranking import rank_agreement
from runner.front import EXPORTED, FIDELITIES, INHERITED, RETRAINED

if TYPE_CHECKING:
    from runner.front import Front, Point

FEWEST = 3  # points: two of them are ranked alike or not, which says nothing
KIND = {INHERITED: "shared weights", RETRAINED: "retrained", EXPORTED: "exported file"}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How one kind of number ranks points like the one before it, by one metric."""

    metric: str
    before: str  # the kind
    after: str
    points: int  # that have both numbers
    kendall: float | None  # tau-b; None where it is not defined
    spearman: float | None

    @property
    def why_not(self) -> str:
        """Why there is no correlation; empty where there is one."""
        if self.points < FEWEST:
            has = "1 point has" if self.points == 1 else f"{self.points} points have"
            return f"{has} both numbers, and fewer than {FEWEST} say nothing about an order"
        return "" if self.kendall is not None else f"the {self.points} points share one number of one of the two kinds"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def agreements(front: Front) -> tuple[Agreement, ...]:
    """By objective, each kind of number against the one before it, over all points that have both.

    Kinds that nothing has by that objective are passed over: no latency is measured between shared weights and the
    exported file.  Empty while nothing was retrained.
    """
    points = [point for point in (*front.points, *front.others) if point.later]
    return tuple(
        _agreement(metric, before, after, points)
        for metric in front.goals
        for before, after in pairwise(_kinds(metric, points))
    )


def _kinds(metric: str, points: list[Point]) -> list[str]:
    return [kind for kind in FIDELITIES if any(_value(point, kind, metric) is not None for point in points)]


def _agreement(metric: str, before: str, after: str, points: list[Point]) -> Agreement:
    pairs = [(_value(point, before, metric), _value(point, after, metric)) for point in points]
    both = [(first, second) for first, second in pairs if first is not None and second is not None]
    enough = len(both) >= FEWEST
    found = rank_agreement([first for first, _ in both], [second for _, second in both]) if enough else None
    return Agreement(
        metric=metric,
        before=before,
        after=after,
        points=len(both),
        kendall=None if found is None or math.isnan(found.kendall) else found.kendall,
        spearman=None if found is None or math.isnan(found.spearman) else found.spearman,
    )


def _value(point: Point, kind: str, metric: str) -> float | None:
    """The number of this kind: neither a prediction nor what follows from the structure is one."""
    values: Mapping[str, Any] = point.values if kind == INHERITED else point.later.get(kind, {})
    value = values.get(metric)
    return value.value if value is not None and value.provenance == kind else None


# Words

COLUMNS = ("objective", "ranked by", "like", "points", "Kendall's tau-b", "Spearman's rho")


def table_rows(found: tuple[Agreement, ...]) -> tuple[tuple[str, ...], ...]:
    """The correlations that there are, in the order of `COLUMNS`."""
    return tuple(
        (one.metric, KIND[one.before], KIND[one.after], str(one.points), f"{one.kendall:.2f}", f"{one.spearman:.2f}")
        for one in found
        if one.kendall is not None and one.spearman is not None
    )


def sentences(found: tuple[Agreement, ...]) -> tuple[str, ...]:
    """What there is no correlation of, and why: a sentence a reason."""
    named: dict[str, list[str]] = {}
    for one in found:
        if one.why_not:
            named.setdefault(one.why_not, []).append(f"{one.metric} ({KIND[one.before]} and {KIND[one.after]})")
    return tuple(f"No rank correlation of {', '.join(pairs)}: {reason}." for reason, pairs in named.items())
