"""Fronts, hypervolumes and columns for answers: computed from columns, kept until the study changes.

A front over 100,000 evaluations takes seconds to read; a page that is looked at asks every few seconds.  Owns what is
kept and what is computed for the network; what a front is, `runner.front` and `runner.search.pareto` say.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runner.front import compute_front
from runner.search.pareto import hypervolume, non_dominated
from runner.service.columns import Table
from runner.service.kept import Kept
from runner.service.problems import Problem
from runner.study import StudySpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from runner.front import Front
    from runner.store import Repository, StudyRecord
    from runner.study import Goal

SHOWN_OTHERS = 5_000  # points off the front in one answer
_KEPT = 32  # studies
_KEPT_TABLES = 8
_KEPT_COLUMNS = 8
_QUICKLY = 1  # gzip's level
_PART = 2_000  # rows
_STEPS = 100  # of a hypervolume's course
# Points on a front beyond which its exact volume takes longer than an answer may, by objectives.
_MOST_POINTS = {1: 10**9, 2: 10**9, 3: 20_000, 4: 300, 5: 100, 6: 50}


@dataclass(frozen=True, kw_only=True)
class Course:
    """The hypervolume after so many evaluations, and the corner that it is measured from."""

    metrics: tuple[str, ...]
    reference: tuple[float, ...]  # empty where nothing counts yet
    evaluations: tuple[int, ...]
    times: tuple[datetime, ...]
    volumes: tuple[float | None, ...]  # None: too many points for an exact number within an answer's time


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What was computed of one study at one moment."""

    front: Front  # of the points off it, those that were retrained or exported alone
    evaluated: int  # points on the front and off it
    newest: tuple[str, ...]  # the digests of the newest points, on the front and off it


class Fronts:
    """What one server process has computed."""

    def __init__(self) -> None:
        self._tables: Kept[Table] = Kept(_KEPT_TABLES)
        self._pictures: Kept[Picture] = Kept(_KEPT)
        self._courses: Kept[Course] = Kept(_KEPT)
        self._whole: Kept[Front] = Kept(_KEPT_TABLES)
        self._columns: Kept[bytes] = Kept(_KEPT_COLUMNS)

    def table(self, repository: Repository, study: StudyRecord, metrics: Sequence[str]) -> Table:
        """The evaluations of a study; `metrics` are read at once with them where nothing is kept."""
        return self._tables.of(repository, study, lambda: Table.read(repository, study.id, metrics))

    def picture(self, repository: Repository, study: StudyRecord) -> Picture:
        """The front of a study.  Raises `Problem`."""
        spec = spec_of(study)

        def compute() -> Picture:
            return picture_of(repository, self.table(repository, study, tuple(spec.goals)), spec)

        return self._pictures.of(repository, study, compute)

    def course(self, repository: Repository, study: StudyRecord) -> Course:
        """How the hypervolume of a study's front grew.  Raises `Problem`."""
        spec = spec_of(study)

        def compute() -> Course:
            return course_of(repository, self.table(repository, study, tuple(spec.goals)), spec)

        return self._courses.of(repository, study, compute)

    def with_others(self, repository: Repository, study: StudyRecord) -> Front:
        """The front, and of the points off it also the newest.  Raises `Problem`."""
        spec = spec_of(study)
        picture = self.picture(repository, study)

        def compute() -> Front:
            known = [point.architecture.digest for point in (*picture.front.points, *picture.front.others)]
            # What dominates a point of these, if anything does, is among them: so their front is that of all.
            return compute_front(
                repository.evaluations_of(study.id, [*known, *picture.newest]), spec.goals, spec.bounds
            )

        return self._whole.of(repository, study, compute)

    def columns(
        self, repository: Repository, study: StudyRecord, metrics: Sequence[str], choices: Sequence[str]
    ) -> bytes:
        """The document of these columns, compressed with gzip."""

        def compute() -> bytes:
            table = self.table(repository, study, metrics)
            return packed(table.text(repository, metrics, choices))

        return self._columns.of(repository, study, compute, question="\n".join((*metrics, "", *choices)))


def packed(text: str) -> bytes:
    """A document, compressed with gzip."""
    return gzip.compress(text.encode(), _QUICKLY)


def spec_of(study: StudyRecord) -> StudySpec:
    """The specification.  Raises `Problem` where another version wrote it."""
    try:
        return StudySpec.model_validate_json(study.spec)
    except ValueError:
        raise Problem(
            "no_front", "The specification was written by another version of Supernaut and cannot be read by this one."
        ) from None


def picture_of(repository: Repository, table: Table, spec: StudySpec) -> Picture:
    """The front of a study as `runner.front` defines it, over all evaluations, though few of them are read whole."""
    goals = spec.goals
    rows, numbers, inside = _judged(repository, table, spec)
    best = _best(numbers[inside] * _signs(goals))
    later = [
        digest
        for digest, state, counts in zip(table.digests, table.states, table.counts.tolist(), strict=True)
        if not counts and state == "complete"
    ]
    shown = [table.digests[row] for row in rows[inside][best]]
    front = compute_front(repository.evaluations_of(table.study_id, [*shown, *later]), goals, spec.bounds)
    newest = tuple(table.digests[row] for row in rows[::-1][:SHOWN_OTHERS])
    return Picture(front=front, evaluated=len(rows), newest=newest)


def course_of(repository: Repository, table: Table, spec: StudySpec) -> Course:
    """How the hypervolume of the front grew over the evaluations that keep the bounds."""
    goals = spec.goals
    rows, numbers, inside = _judged(repository, table, spec)
    ends, volumes = _grown(numbers[inside] * _signs(goals))
    steps = [int(rows[inside][end - 1]) for end in ends]
    times = repository.times_of(table.study_id, [table.ids[row] for row in steps])
    counted = np.flatnonzero(inside) + 1  # how many were evaluated by each of those that keep the bounds
    return Course(
        metrics=tuple(goals),
        reference=tuple(_worst(numbers[inside], goals)),
        evaluations=tuple(int(counted[end - 1]) for end in ends),
        times=tuple(times[table.ids[row]] for row in steps),
        volumes=tuple(volumes),
    )


def _judged(
    repository: Repository, table: Table, spec: StudySpec
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """The rows that have a number for each objective, those numbers, and which of them keep the bounds."""
    goals = spec.goals
    numbers = np.stack([table.numbers(repository, metric).values for metric in goals], axis=1)
    rows = np.flatnonzero(table.counts & np.isfinite(numbers).all(axis=1))  # the record holds finite numbers, or none
    numbers = numbers[rows]
    return rows, numbers, _within(numbers, [spec.bounds.get(metric, (None, None)) for metric in goals])


def _best(vectors: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rows of the front; in parts, because what one part has ruled out the next ones need not look at."""
    best = np.zeros(0, dtype=np.int64)
    for begin in range(0, len(vectors), _PART):
        together = np.concatenate([best, np.arange(begin, min(begin + _PART, len(vectors)))])
        best = together[non_dominated(vectors[together])]
    return best


def _grown(vectors: NDArray[np.float64]) -> tuple[list[int], list[float | None]]:
    """How the hypervolume of the front grew: after so many rows, and the volume then.

    The reference is the worst value of each objective among all rows.
    """
    best = np.zeros(0, dtype=np.int64)
    if len(vectors) == 0:
        return [], []
    corner = vectors.max(axis=0)
    ends = sorted({int(end) for end in np.linspace(1, len(vectors), min(_STEPS, len(vectors)))})
    volumes: list[float | None] = []
    begin = 0
    for end in ends:
        together = np.concatenate([best, np.arange(begin, end)])
        best, begin = together[non_dominated(vectors[together])], end
        exact = len(best) <= _MOST_POINTS[vectors.shape[1]]
        volumes.append(hypervolume(vectors[best], corner) if exact else None)
    return ends, volumes


def _worst(numbers: NDArray[np.float64], goals: Mapping[str, Goal]) -> list[float]:
    signs = _signs(goals)
    return [] if len(numbers) == 0 else [float(value) for value in (numbers * signs).max(axis=0) * signs]


def _signs(goals: Mapping[str, Goal]) -> NDArray[np.float64]:
    """What turns objectives so that smaller is better."""
    return np.array([1.0 if goal == "minimize" else -1.0 for goal in goals.values()])


def _within(numbers: NDArray[np.float64], bounds: Sequence[tuple[float | None, float | None]]) -> NDArray[np.bool_]:
    """Which rows keep all bounds."""
    inside = np.ones(len(numbers), dtype=np.bool_)
    for column, (low, high) in enumerate(bounds):
        if low is not None:
            inside &= numbers[:, column] >= low
        if high is not None:
            inside &= numbers[:, column] <= high
    return inside
