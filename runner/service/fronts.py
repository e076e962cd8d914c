"""Fronts, hypervolumes and columns for answers: computed from columns, kept until the study changes.

A front over 100,000 evaluations takes seconds to read; a page that is looked at asks every few seconds.  Owns what is
kept and what is computed for the network; what a front is, `runner.front` and `runner.search.pareto` say.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from runner.front import INHERITED, compute_front
from runner.search.pareto import hypervolume, non_dominated
from runner.service.problems import Problem
from runner.store.records import PROVENANCES
from runner.study import StudySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from runner.front import Front
    from runner.store import Repository, StudyRecord
    from runner.store.queries import Columns
    from runner.study import Goal

SHOWN_OTHERS = 5_000  # points off the front in one answer
_KEPT = 32  # studies
_KEPT_COLUMNS = 8
_QUICKLY = 1  # gzip's level
_TRUSTED_S = 5.0  # numbers may be added to evaluations without a trace in counts and states
_COST_FACTOR = 10.0
_CHEAP_S = 0.5  # what is computed faster is computed anew at every change
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

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
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
        if not same and (entry.cost_s < _CHEAP_S or age_s > _COST_FACTOR * entry.cost_s):
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


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What was computed of one study at one moment."""

    front: Front  # of the points off it, those that were retrained or exported, and the newest
    evaluated: int  # points on the front and off it
    course: Course


class Fronts:
    """What one server process has computed."""

    def __init__(self) -> None:
        self._pictures: Kept[Picture] = Kept(_KEPT)
        self._columns: Kept[bytes] = Kept(_KEPT_COLUMNS)

    def picture(self, repository: Repository, study: StudyRecord) -> Picture:
        """The front of a study and the course of its hypervolume.  Raises `Problem`."""
        spec = spec_of(study)

        def compute() -> Picture:
            return picture_of(repository, study, spec)

        return self._pictures.get(study.id, _stamp(repository, study), compute, changing=study.state == "running")

    def columns(self, repository: Repository, study: StudyRecord, metrics: tuple[str, ...]) -> bytes:
        """The document of these columns, compressed with gzip."""

        def compute() -> bytes:
            document = columns_document(repository.columns(study.id, metrics))
            return gzip.compress(json.dumps(document, allow_nan=False, separators=(",", ":")).encode(), _QUICKLY)

        key = "\n".join((study.id, *metrics))
        return self._columns.get(key, _stamp(repository, study), compute, changing=study.state == "running")


def spec_of(study: StudyRecord) -> StudySpec:
    """The specification.  Raises `Problem` where another version wrote it."""
    try:
        return StudySpec.model_validate_json(study.spec)
    except ValueError:
        raise Problem(
            "no_front", "The specification was written by another version of Supernaut and cannot be read by this one."
        ) from None


def picture_of(repository: Repository, study: StudyRecord, spec: StudySpec) -> Picture:
    """The front of a study as `runner.front` defines it, over all evaluations, though few of them are read whole."""
    goals = spec.goals
    columns = repository.columns(study.id, tuple(goals))
    counts = np.array(
        [
            state == "complete" and fidelity == INHERITED
            for state, fidelity in zip(columns.states, columns.fidelities, strict=True)
        ],
        dtype=np.bool_,
    )
    numbers = np.array([columns.metrics[metric].values for metric in goals], dtype=np.float64).T.reshape(-1, len(goals))
    counts &= np.isfinite(numbers).all(axis=1)  # the record holds finite numbers, or none
    rows = np.flatnonzero(counts)
    numbers = numbers[rows]
    inside = _within(numbers, [spec.bounds.get(metric, (None, None)) for metric in goals])
    vectors = numbers[inside] * _signs(goals)
    best = rows[inside][non_dominated(vectors)] if len(vectors) else rows[:0]
    later = [
        digest
        for digest, state, fidelity in zip(columns.digests, columns.states, columns.fidelities, strict=True)
        if state == "complete" and fidelity != INHERITED
    ]
    shown = [columns.digests[row] for row in (*best, *rows[::-1][:SHOWN_OTHERS])]
    # What dominates a point of these, if anything does, is among them: so their front is that of all.
    front = compute_front(repository.evaluations_of(study.id, [*shown, *later]), goals, spec.bounds)
    return Picture(front=front, evaluated=len(rows), course=_course(goals, vectors, np.flatnonzero(inside) + 1))


def columns_document(columns: Columns) -> dict[str, object]:
    """The document, as plain values: for so many numbers a model would take longer than the record."""
    codes = {provenance: place for place, provenance in enumerate(PROVENANCES)}
    return {
        "count": len(columns.ids),
        "id": columns.ids,
        "digest": columns.digests,
        "state": columns.states,
        "fidelity": columns.fidelities,
        "provenances": PROVENANCES,
        "metrics": {
            name: {
                "value": column.values,
                "provenance": [None if each is None else codes[each] for each in column.provenances],
            }
            for name, column in columns.metrics.items()
        },
    }


def _stamp(repository: Repository, study: StudyRecord) -> tuple[object, ...]:
    """What changes when the study does."""
    counts = repository.study_counts([study.id])[study.id]
    return counts["complete"], counts["failed"], study.updated_at


def _course(goals: Mapping[str, Goal], vectors: NDArray[np.float64], counted: NDArray[np.int64]) -> Course:
    """How the hypervolume grew over the rows of `vectors`; `counted` says how many were evaluated by each of them.

    The reference is the worst value of each objective among the points that keep the bounds.
    """
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
        reference=tuple(float(value) for value in corner * _signs(goals)),
        evaluations=tuple(int(counted[end - 1]) for end in ends),
        volumes=tuple(volumes),
    )


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
