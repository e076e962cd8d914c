"""What a picture of a front shows, in data coordinates: marks, the line, axes.  It owns the choice, not the drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from runner.dashboard.words import decimals_for, direction, number, plural
from runner.errors import SpecError
from runner.study import goal_of, is_cost, is_latency

if TYPE_CHECKING:
    from runner.front import Front, Point
    from runner.store.records import ValueRecord

Shape = Literal["shared", "retrained", "exported"]  # with which weights, in which form: later is nearer to what ships

ORDER = "evaluation"  # the horizontal axis where there is one objective: evaluations in the order of the record
MOST_FADED = 2_000  # points beside the front that one picture draws; more only make it slow
FARTHEST_LEFT_OUT = 0.05  # of the points beside the front, along an axis: see `_within_reach`
_FARTHEST = ("exported", "retrained")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One architecture in the plane of a picture."""

    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    size: float | None = None
    shape: Shape = "shared"
    predicted: bool = False  # one of the two numbers was measured by nobody
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that is drawn, before anything has a place on paper."""

    x: str
    y: str
    size: str | None
    goals: Mapping[str, str]
    front: tuple[Mark, ...]
    faded: tuple[Mark, ...]
    faded_total: int
    knee: Mark | None
    later: tuple[tuple[Mark, Mark], ...]  # a mark of the front, and what its retrained or exported model reached
    line: tuple[tuple[float, float], ...]
    undrawn: tuple[str, ...]  # objectives that have no place in this picture

    @property
    def drawn(self) -> tuple[Mark, ...]:
        """Every mark."""
        return (*self.faded, *self.front, *(mark for _, mark in self.later))

    def worst(self, metric: str) -> Literal["low", "high"]:
        """The end of an axis where nobody wants to be."""
        return "high" if _sign(self.goals, metric) > 0 else "low"


def make_scene(front: Front, x: str | None, y: str | None) -> Scene:
    """Choose axes where none are named, and place every point that has both numbers.

    Raises `SpecError` for a metric that no point has.
    """
    known = list(dict.fromkeys([*front.goals, *(name for p in (*front.points, *front.others) for name in p.values)]))
    for name in (x, y):
        if name is not None and name not in known:
            raise SpecError(f"there is no metric {name!r} to draw; this front has: {', '.join(known)}.")
    x, y = _axes(list(front.goals), x, y)
    size = next((metric for metric in front.goals if metric not in (x, y)), None)
    places = _Places(x=x, y=y, size=size, order=_order(front) if x == ORDER else {})
    points = [point for point in front.points if places.has(point)]
    others = [point for point in front.others if places.has(point)]
    marks = {point.evaluation_id: places.mark(point) for point in (*points, *others)}
    on_front = [marks[point.evaluation_id] for point in points]
    beside = [marks[point.evaluation_id] for point in others]
    line = _line([*on_front, *beside] if x == ORDER else on_front, front.goals, x, y)
    later = [(marks[point.evaluation_id], places.later(point)) for point in (*points, *others)]
    return Scene(
        x=x,
        y=y,
        size=size,
        goals=front.goals,
        front=tuple(on_front),
        faded=_thinned(_within_reach(beside, line, front.goals, x, y)),
        faded_total=len(others),
        knee=marks.get(front.knee.evaluation_id) if front.knee else None,
        later=tuple((origin, mark) for origin, mark in later if mark is not None),
        line=line,
        undrawn=tuple(metric for metric in front.goals if metric not in (x, y, size)),
    )


def describe(front: Front) -> str:
    """The picture in words, for those who do not see it."""
    evaluated = len(front.points) + len(front.others)
    if not evaluated:
        return "No architecture has been evaluated yet."
    goals = ", ".join(f"{metric} ({direction(metric, goal)})" for metric, goal in front.goals.items())
    words = f"{plural(len(front.points), 'architecture')} on the front of {evaluated:,} evaluated. Objectives: {goals}."
    for metric in front.goals if front.points else ():
        values = [point.number(metric) for point in front.points]
        places = decimals_for(values)
        words += f" On the front {metric} runs from {number(min(values), places)} to {number(max(values), places)}."
    if front.knee:
        words += f" The knee is {words_of(front.knee, front.goals)}."
    return words


def words_of(point: Point, metrics: Iterable[str]) -> str:
    """An architecture with its numbers and their provenance, in one line."""
    parts = [
        f"{metric} {number(value.value)} ({value.provenance})"
        for metric in metrics
        if (value := point.values.get(metric))
    ]
    return f"{point.architecture.digest}: {', '.join(parts)}"


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where points go in one picture."""

    x: str
    y: str
    size: str | None
    order: Mapping[int, int]

    def has(self, point: Point) -> bool:
        return self.y in point.values and (self.x == ORDER or self.x in point.values)

    def mark(self, point: Point) -> Mark:
        return self._mark(point, point.values, "shared", words_of(point, point.values))

    def later(self, point: Point) -> Mark | None:
        """The same architecture by the numbers nearest to what ships; None where nothing came later."""
        for fidelity in _FARTHEST:
            values = point.later.get(fidelity, {})
            if self.x in values or self.y in values:
                words = f"{point.architecture.digest} {fidelity}: " + ", ".join(
                    f"{metric} {number(value.value)} ({value.provenance})" for metric, value in values.items()
                )
                return self._mark(point, {**point.values, **values}, fidelity, words)  # type: ignore[arg-type]
        return None

    def _mark(self, point: Point, values: Mapping[str, ValueRecord], shape: Shape, words: str) -> Mark:
        x, y = values.get(self.x), values[self.y]
        size = values.get(self.size) if self.size is not None else None
        return Mark(
            x=float(self.order[point.evaluation_id]) if x is None else x.value,
            y=y.value,
            x_interval=_interval(x),
            y_interval=_interval(y),
            size=None if size is None else size.value,
            shape=shape,
            predicted=any(value is not None and value.provenance == "predicted" for value in (x, y)),
            words=words,
        )


def _interval(value: ValueRecord | None) -> tuple[float, float] | None:
    if value is None or value.lower is None or value.upper is None:
        return None
    return value.lower, value.upper


def _axes(goals: list[str], x: str | None, y: str | None) -> tuple[str, str]:
    """Upwards what the task scores; to the right a cost, latency before any other."""
    costs = sorted(filter(is_cost, goals), key=lambda metric: not is_latency(metric))
    scores = [metric for metric in goals if metric not in costs]
    if y is None:
        y = next(metric for metric in (*scores, *reversed(costs), *goals) if metric != x or len(goals) == 1)
    if x is None:
        x = next((metric for metric in (*costs, *scores) if metric != y), ORDER)
    return x, y


def _order(front: Front) -> dict[int, int]:
    """How many evaluations there were up to each point."""
    ids = sorted(point.evaluation_id for point in (*front.points, *front.others))
    return {evaluation_id: position for position, evaluation_id in enumerate(ids, start=1)}


def _within_reach(
    others: Sequence[Mark], line: Sequence[tuple[float, float]], goals: Mapping[str, str], x: str, y: str
) -> list[Mark]:
    """Without those few that are so much worse than the best that they would press it into a corner.

    Along an axis that is a point farther beyond the line than the line is long, and one of the worst 5 %.
    """
    across, up = _sign(goals, x), _sign(goals, y)
    x_limit = math.inf if x == ORDER else _limit([across * mark.x for mark in others], [across * x for x, _ in line])
    y_limit = _limit([up * mark.y for mark in others], [up * y for _, y in line])
    return [mark for mark in others if across * mark.x <= x_limit and up * mark.y <= y_limit]


def _limit(others: Sequence[float], line: Sequence[float]) -> float:
    """The largest value that is shown, where smaller is better; positive values are judged by their ratios."""
    if not others or not line or max(line) == min(line):
        return math.inf
    low, high = min(line), max(line)
    reach = high * (high / low) if low > 0 else high + (high - low)
    ranked = sorted(others)
    return max(reach, ranked[math.ceil(len(ranked) * (1 - FARTHEST_LEFT_OUT)) - 1])


def _thinned(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Not more than a picture can hold, evenly from all of them."""
    return tuple(marks[:: -(-len(marks) // MOST_FADED)] if marks else ())


def _sign(goals: Mapping[str, str], metric: str) -> int:
    """1 where smaller is better, -1 where larger is."""
    if metric == ORDER:
        return 1
    return 1 if goals.get(metric, goal_of(metric)) == "minimize" else -1


def _line(marks: Sequence[Mark], goals: Mapping[str, str], x: str, y: str) -> tuple[tuple[float, float], ...]:
    """The corners of the best trade-off between the two shown metrics; with one objective, of the best so far.

    The front of more objectives may hold points behind this line: they pay with what is not on an axis.
    """
    across, up = _sign(goals, x), _sign(goals, y)
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (across * mark.x, up * mark.y)):
        if not kept or up * mark.y < up * kept[-1].y:
            kept.append(mark)
    corners = [(kept[0].x, kept[0].y)] if kept else []
    for before, after in pairwise(kept):
        corners += [(after.x, before.y), (after.x, after.y)]
    return tuple(corners)
