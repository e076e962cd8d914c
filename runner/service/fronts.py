"""Fronts and hypervolumes for answers: computed from columns, kept until the study changes.

A front over 100,000 evaluations takes seconds to read; a page that is looked at asks every few seconds.  Owns what is
kept and what is computed for the network; what a front is, `runner.front` and `runner.search.pareto` say.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from runner.front import compute_front
from runner.search.pareto import hypervolume, non_dominated
from runner.service.problems import Problem
from runner.study import StudySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from runner.front import Front
    from runner.store import Repository, StudyRecord

_KEPT = 32  # studies
_TRUSTED_S = 5.0  # numbers may be added to evaluations without a trace in counts and states
_COST_FACTOR = 10.0
_STEPS = 100  # of a hypervolume's course
# Points on a front beyond which its exact volume takes longer than an answer may, by objectives.
_MOST_POINTS = {1: 10**9, 2: 10**9, 3: 20_000, 4: 300, 5: 100, 6: 50}

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Entry(Generic[Value]):
    stamp: object
    value: Value
    computed_at: float
    cost_s: float


class Kept(Generic[Value]):
    """The newest values of a computation, one a study, each computed once however many ask at the same time."""

    def __init__(self, size: int = _KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[str, _Entry[Value]] = OrderedDict()
        self._computing: dict[str, Lock] = {}

    def get(self, key: str, stamp: object, compute: Callable[[], Value], *, changing: bool) -> Value:
        """The value for `key` as of `stamp`, which does not tell all changes while the study is `changing`.

        What took long to compute is kept for ten times as long, so that a study that grows does not keep the server
        busy.
        """
        with self._lock:
            if (found := self._usable(key, stamp, changing)) is not None:
                return found.value
            computing = self._computing.setdefault(key, Lock())
        with computing:
            with self._lock:
                if (found := self._usable(key, stamp, changing)) is not None:
                    return found.value
            began = self._clock()
            value = compute()
            ended = self._clock()
            with self._lock:
                self._entries[key] = _Entry(stamp, value, ended, ended - began)
                self._entries.move_to_end(key)
                self._computing.pop(key, None)
                while len(self._entries) > self._size:
                    self._entries.popitem(last=False)
            return value

    def _usable(self, key: str, stamp: object, changing: bool) -> _Entry[Value] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        age_s = self._clock() - entry.computed_at
        same = entry.stamp == stamp and not (changing and age_s > _TRUSTED_S)
        if not same and age_s > _COST_FACTOR * entry.cost_s:
            return None
        self._entries.move_to_end(key)
        return entry


@dataclass(frozen=True, kw_only=True)
class Course:
    """The hypervolume after so many evaluations, and the corner that it is measured from."""

    metrics: tuple[str, ...]
    reference: tuple[float, ...]  # empty where nothing counts yet
    evaluations: tuple[int, ...]
    volumes: tuple[float | None, ...]  # None: too many points for an exact number within an answer's time


def spec_of(study: StudyRecord) -> StudySpec:
    """The specification.  Raises `Problem` where another version wrote it."""
    try:
        return StudySpec.model_validate_json(study.spec)
    except ValueError:
        raise Problem(
            "no_front", "The specification was written by another version of Supernaut and cannot be read by this one."
        ) from None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What was computed of one study at one moment."""

    front: Front
    course: Course


class Fronts:
    """The fronts that one server process has computed."""

    def __init__(self) -> None:
        self._kept: Kept[Picture] = Kept()

    def picture(self, repository: Repository, study: StudyRecord) -> Picture:
        """The front of a study and the course of its hypervolume.  Raises `Problem`."""
        spec = spec_of(study)
        counts = repository.study_counts([study.id])[study.id]
        stamp = (counts["complete"], counts["failed"], study.updated_at)

        def compute() -> Picture:
            front = compute_front(repository.evaluations(study.id), spec.goals, spec.bounds)
            return Picture(front=front, course=course_of(spec, front))

        return self._kept.get(study.id, stamp, compute, changing=study.state == "running")


def course_of(spec: StudySpec, front: Front) -> Course:
    """How the hypervolume grew from evaluation to evaluation.

    The reference is the worst value of each objective among the points that keep the bounds.
    """
    goals = spec.goals
    points = sorted((*front.points, *front.others), key=lambda point: point.evaluation_id)
    numbers = np.array([[point.number(metric) for metric in goals] for point in points]).reshape(
        len(points), len(goals)
    )
    signs = np.array([1.0 if goal == "minimize" else -1.0 for goal in goals.values()])
    inside = _within(numbers, [spec.bounds.get(metric, (None, None)) for metric in goals])
    vectors, counted = (numbers * signs)[inside], np.flatnonzero(inside) + 1
    if len(vectors) == 0:
        return Course(metrics=tuple(goals), reference=(), evaluations=(), volumes=())
    corner = vectors.max(axis=0)
    ends = sorted({int(end) for end in np.linspace(1, len(vectors), min(_STEPS, len(vectors)))})
    volumes: list[float | None] = []
    best, begin = vectors[:0], 0
    for end in ends:
        together = np.concatenate([best, vectors[begin:end]])
        best, begin = np.unique(together[non_dominated(together)], axis=0), end
        exact = len(best) <= _MOST_POINTS[len(goals)]
        volumes.append(hypervolume(best, corner) if exact else None)
    return Course(
        metrics=tuple(goals),
        reference=tuple(float(value) for value in corner * signs),
        evaluations=tuple(int(counted[end - 1]) for end in ends),
        volumes=tuple(volumes),
    )


def _within(numbers: NDArray[np.float64], bounds: Sequence[tuple[float | None, float | None]]) -> NDArray[np.bool_]:
    """Which rows keep all bounds."""
    inside = np.ones(len(numbers), dtype=np.bool_)
    for column, (low, high) in enumerate(bounds):
        if low is not None:
            inside &= numbers[:, column] >= low
        if high is not None:
            inside &= numbers[:, column] <= high
    return inside
