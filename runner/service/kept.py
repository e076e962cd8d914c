"""What was computed for answers, kept until the study that it is about changes.  Owns for how long."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.store import Repository, StudyRecord

_TRUSTED_S = 5.0  # numbers may be added to evaluations without a trace in counts and states
_COST_FACTOR = 10.0
_CHEAP_S = 0.5  # what is computed faster is computed anew at every change

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

    def of(self, repository: Repository, study: StudyRecord, compute: Callable[[], Value], question: str = "") -> Value:
        """What is kept for a study, or for one question about it, as far as it still holds; else computed."""
        key = f"{study.id} {question}"
        return self.get(key, stamp_of(repository, study), compute, changing=study.state == "running")

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


def stamp_of(repository: Repository, study: StudyRecord) -> tuple[object, ...]:
    """What changes when a study does."""
    counts = repository.study_counts([study.id])[study.id]
    return counts["complete"], counts["failed"], study.updated_at
