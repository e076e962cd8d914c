"""Training one trial, in whatever process: its record, its lock, what is told to the driver, and its failures.

Owns the file of a trial while it is trained.  How the words reach the driver is the business of whoever starts it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import exit_code
from runner.parallel.folder_lock import alone
from runner.parallel.trials import Point, Train, TrialRecord, TrialSettings, Tuning, TuningError

LOCK_SECONDS = 120.0  # how long a trial waits for a process of an earlier run to let go of its folder


class StopTrial(BaseException):
    """The driver stops a trial early.  No `Exception`, because a training must not take it for a failure."""


@dataclass(frozen=True, kw_only=True)
class TrialWork:
    """What is needed to train any trial of a tuning; `tell` hears a message, and raises where the trial is stopped."""

    tuning: Tuning
    train: Train
    stop: Callable[[], bool]
    tell: Callable[[Mapping[str, Any]], None]

    def __call__(self, index: int) -> None:
        """Train a trial from its newest checkpoint, and tell what becomes of it."""
        settings = self.tuning.grid[index]
        folder = self.tuning.trial_folder(index)
        with alone(folder, LOCK_SECONDS):
            record = TrialRecord.load(folder, settings)
            if record.points:
                self.say(record.points)
            if not record.finished:
                failure = self._train(record)
                if failure is not None:
                    self.say([], failure=failure)
                    return
                if record.step < self.tuning.steps:  # asked to stop
                    return
                record.finished = True
                record.save(folder)
            self.say([], finished=True)

    def say(self, points: Sequence[Point], *, finished: bool = False, failure: str | None = None) -> None:
        """Tell a message, as plain data."""
        told = [(point.step, dict(point.values)) for point in points]
        self.tell({"points": told, "finished": finished, "failure": failure})

    def _train(self, record: TrialRecord) -> str | None:
        """The reason of a failure, None where there is none or where the trial was asked to stop."""
        try:
            self.train(_Trial(work=self, record=record))
        except Exception as error:  # noqa: BLE001  (whatever it is, it fails this trial and not the others)
            if self.stop():
                return None
            return str(error) if exit_code(error) is not None else f"{type(error).__name__}: {error}"
        if record.step < self.tuning.steps and not self.stop():
            return f"it ended after step {record.step} of {self.tuning.steps} without a word"
        return None


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """A trial as its training sees it."""

    work: TrialWork
    record: TrialRecord

    @property
    def settings(self) -> TrialSettings:
        return self.record.settings

    @property
    def folder(self) -> Path:
        return self.work.tuning.trial_folder(self.settings.index)

    def report(self, step: int, values: Mapping[str, float]) -> None:
        metric = self.work.tuning.metric
        if metric not in values:
            raise TuningError(f"a trial reported {', '.join(values) or 'nothing'}, but is judged by {metric!r}.")
        if not math.isfinite(values[metric]):
            raise TuningError(f"{metric} became {values[metric]} at step {step} of {self.work.tuning.steps}.")
        point = Point(step, {name: float(value) for name, value in values.items()})
        if self.record.add(point):
            self.record.save(self.folder)  # before the driver hears of it: it must not know more than a restart would
            self.work.say([point])

    def stop(self) -> bool:
        return self.work.stop()
