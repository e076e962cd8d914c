"""The front of a study, from its record: the one reader that tables, pages, pictures and stages share.

Owns how a record becomes a point; which of several values of one metric counts is `runner.store.records.PRECEDENCE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import NotFound, SpecError
from runner.search.pareto import knee, non_dominated
from runner.store.records import PRECEDENCE
from runner.study import recorded_spec
from search_spaces import Architecture

if TYPE_CHECKING:
    from runner.store.records import EvaluationRecord, StudyRecord, ValueRecord
    from runner.store.repository import Repository

INHERITED, RETRAINED, EXPORTED = "inherited", "retrained", "exported"
FIDELITIES = (INHERITED, RETRAINED, EXPORTED)

KNEE, ENDS = "knee", "ends"
NAMED_POINTS = (KNEE, ENDS)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One architecture with shared weights: a value for each metric, each with its provenance."""

    evaluation_id: int
    architecture: Architecture
    values: Mapping[str, ValueRecord]
    later: Mapping[str, Mapping[str, ValueRecord]]  # by fidelity: what the retrained and the exported model reached

    def number(self, metric: str) -> float:
        """The value of a metric."""
        return self.values[metric].value

    def predicted(self, metrics: Iterable[str]) -> list[str]:
        """Those of `metrics` that nobody measured."""
        return [metric for metric in metrics if self.values[metric].provenance == "predicted"]


@dataclass(frozen=True, kw_only=True)
class Front:
    """The evaluated architectures of a study, split by whether something is better in every objective."""

    goals: Mapping[str, str]
    points: tuple[Point, ...]  # non-dominated and within the bounds, the best first objective first
    others: tuple[Point, ...]  # dominated, or outside the bounds
    knee: Point | None  # as `runner.search.pareto.knee` defines it

    @property
    def evaluated(self) -> int:
        """How many architectures have a value for each objective."""
        return len(self.points) + len(self.others)

    @property
    def ends(self) -> tuple[Point, ...]:
        """By objective the point of the front that is best in it; of several, the one that is best in the others."""
        return tuple(self._best_in(metric) for metric in self.goals) if self.points else ()

    def _best_in(self, metric: str) -> Point:
        own = {metric: self.goals[metric]}
        # The first of equals, which the order of the points makes the best in the other objectives.
        return min(self.points, key=lambda point: _oriented(point, own))

    def find(self, digest_prefix: str) -> list[Point]:
        """Every evaluated architecture whose digest begins like this."""
        return [p for p in (*self.points, *self.others) if p.architecture.digest.startswith(digest_prefix)]


def compute_front(
    records: Sequence[EvaluationRecord],
    goals: Mapping[str, str],
    bounds: Mapping[str, tuple[float | None, float | None]],
) -> Front:
    """The front over all complete evaluations with shared weights that have a value for each objective."""
    later: dict[str, dict[str, Mapping[str, ValueRecord]]] = {}
    for record in records:
        if record.state == "complete" and record.fidelity in (RETRAINED, EXPORTED):
            later.setdefault(record.digest, {})[record.fidelity] = best_values(record.values)
    points = [
        Point(
            evaluation_id=record.id,
            architecture=Architecture.from_json(record.architecture_json),
            values=best_values(record.values),
            later=later.get(record.digest, {}),
        )
        for record in records
        if record.state == "complete" and record.fidelity == INHERITED
    ]
    points = [point for point in points if all(metric in point.values for metric in goals)]
    allowed = [point for point in points if _within(point, bounds)]
    vectors = np.array([_oriented(point, goals) for point in allowed]).reshape(len(allowed), len(goals))
    keep = non_dominated(vectors) if allowed else np.zeros(0, dtype=bool)
    best = [point for point, kept in zip(allowed, keep, strict=True) if kept]
    best.sort(key=lambda point: _oriented(point, goals))
    chosen = {point.evaluation_id for point in best}
    return Front(
        goals=goals,
        points=tuple(best),
        others=tuple(point for point in points if point.evaluation_id not in chosen),
        knee=best[knee([_oriented(point, goals) for point in best])] if best else None,
    )


def read_front(study: StudyRecord, repository: Repository) -> Front:
    """The front of a recorded study, without opening its task, its space or its weights."""
    spec = recorded_spec(study.spec, study.name)
    return compute_front(repository.evaluations(study.id), spec.goals, spec.bounds)


def choose(front: Front, points: list[str]) -> list[Point]:
    """The points that `knee`, `ends` or the beginnings of digests name, each once.

    Raises `NotFound` for a digest that was not evaluated, `SpecError` for one that is not unique.
    """
    found = [point for name in points for point in _named(front, name)]
    return list({point.evaluation_id: point for point in found}.values())


def choose_one(front: Front, name: str) -> Point:
    """The point that `knee` or the beginning of a digest names.  Raises what `choose` raises."""
    found = choose(front, [name])
    if len(found) > 1:
        shown = ", ".join(point.architecture.digest for point in found)
        raise SpecError(f"{name!r} names {len(found)} points, and this is about one; name one of them: {shown}.")
    return found[0]


def _named(front: Front, name: str) -> Sequence[Point]:
    if name in NAMED_POINTS:
        if front.knee is None:
            has = "no knee" if name == KNEE else "no ends"
            raise NotFound(f"the front is empty, so it has {has}; loosen the bounds or search longer.")
        return [front.knee] if name == KNEE else front.ends
    found = front.find(name)
    if not found:
        shown = ", ".join(point.architecture.digest for point in front.points[:8]) or "none"
        raise NotFound(f"no evaluated architecture begins with {name!r}; the front holds {shown}.")
    if len(found) > 1:
        raise SpecError(f"{name!r} fits {len(found)} architectures; give more digits.")
    return found


def best_values(values: Iterable[ValueRecord]) -> dict[str, ValueRecord]:
    """For each metric, the value of the highest provenance."""
    chosen: dict[str, ValueRecord] = {}
    for value in values:
        known = chosen.get(value.metric)
        if known is None or PRECEDENCE.index(value.provenance) < PRECEDENCE.index(known.provenance):
            chosen[value.metric] = value
    return chosen


def _oriented(point: Point, goals: Mapping[str, str]) -> tuple[float, ...]:
    """Objectives with signs turned so that smaller is better."""
    return tuple(point.number(metric) * (1 if goal == "minimize" else -1) for metric, goal in goals.items())


def _within(point: Point, bounds: Mapping[str, tuple[float | None, float | None]]) -> bool:
    return all(
        (low is None or point.number(metric) >= low) and (high is None or point.number(metric) <= high)
        for metric, (low, high) in bounds.items()
        if metric in point.values
    )
