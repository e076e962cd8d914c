"""Retraining as trials: several settings in parallel, stopped early where others do better, resumable.

Owns the driver: which trials are left, what it hears of them, and when it ends.  What a trial is, when it is stopped
and what is kept of it is `trials`'; how Tune runs them is `tune_run`'s.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import Interrupted
from runner.parallel.session import RaySettings, ray_session
from runner.parallel.trials import Halving, Mode, Point, Train, TrialRecord, TrialSettings, Tuning

if TYPE_CHECKING:
    from runner.parallel.trials import TuneResult

SCRATCH = ".ray"  # of Tune, in the folder of the trials, because both must be seen by every worker
POLL_SECONDS = 1.0  # between two words of progress


@dataclass(frozen=True, kw_only=True)
class TrialResources:
    """What one trial occupies; a fraction of a GPU shares it."""

    cpus: float = 1.0
    gpus: float = 0.0


def tune_retraining(
    train: Train,
    *,
    grid: Sequence[TrialSettings],
    metric: str,
    mode: Mode,
    steps: int,
    rule: Halving,
    folder: Path,
    workers: int,
    resources: TrialResources | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, detail: None,
    stop: Callable[[], bool] = lambda: False,
    max_failures: int = 2,
) -> TuneResult:
    """Train every trial of the grid, in up to `workers` processes; the best by `metric` of those that finish.

    `train` is sent to other processes; it reports `metric` at the last of `steps` steps and, for the rungs of `rule`,
    before.  What it raises fails its trial, a lost process is replaced up to `max_failures` times.  `progress` hears of
    (steps done over all trials, of how many, a few words) about once a second, in this process.

    The same call goes on where an earlier one was cut off, and returns a result that is complete without any work.
    Where training repeats bit by bit, so does the result, however many workers there are.

    Raises `Interrupted` where `stop` said so, `AllTrialsFailed`, `Conflict` if the folder holds other trials, and
    `TuningError`.
    """
    tuning = Tuning(folder=folder.absolute(), grid=tuple(grid), metric=metric, mode=mode, steps=steps, rule=rule)
    result = tuning.begin()
    if result is not None:
        return result
    resources = resources or TrialResources()
    records = tuning.records()
    run = Run(tuning=tuning, records=records, progress=progress, stop=stop)
    while left := run.left():
        with ray_session(RaySettings.from_environment(workers)), _scratch(tuning.folder / SCRATCH) as scratch:
            from runner.parallel.tune_run import run_tune  # imports Ray, which reads its settings from the session

            run_tune(run, left, train, scratch, workers, resources, max_failures)
        run.tell()
        if run.asked:
            raise Interrupted(f"stopped with {run.summary()}; their checkpoints are kept")
    return tuning.conclude(records)


# The driver


@dataclass(kw_only=True)
class Run:
    """What the driver knows of the trials while they run."""

    tuning: Tuning
    records: list[TrialRecord]
    progress: Callable[[int, int, str], None]
    stop: Callable[[], bool]
    asked: bool = False
    _stopped: list[Point | None] = field(default_factory=list)
    _words: str = "starting"
    _told: float = -math.inf

    def __post_init__(self) -> None:
        self._stopped = self.tuning.stops(self.records)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Nothing.  Tune pickles all it is given for a restart of its own, which never comes."""
        return type(None), ()

    def left(self) -> list[int]:
        """The trials that have not ended."""
        self._stopped = self.tuning.stops(self.records)
        return [
            record.settings.index
            for record, stop in zip(self.records, self._stopped, strict=True)
            if stop is None and not record.ended
        ]

    def hear(self, index: int, message: Mapping[str, Any]) -> bool:
        """Take in what a trial told; whether it is to stop early."""
        record = self.records[index]
        new = [record.add(Point(step, values)) for step, values in message.get("points", ())]
        record.finished = record.finished or bool(message.get("finished"))
        if message.get("failure") is not None:
            self.fail(index, str(message["failure"]))
        elif any(new):
            self._say(index, f"{self.tuning.metric} {self._value(record.points[-1]):.4g} at step {record.step}")
        before, self._stopped = self._stopped, self.tuning.stops(self.records)
        for other, (was, end) in enumerate(zip(before, self._stopped, strict=True)):
            if was is None and end is not None:
                self._say(other, f"stopped early, {self.tuning.metric} {self._value(end):.4g} at step {end.step}")
        return self._stopped[index] is not None

    def fail(self, index: int, reason: str) -> None:
        """Note that a trial cannot be trained to the end."""
        self.records[index].failure = reason
        self._say(index, f"failed: {reason}")

    def poll(self, stop_file: Path) -> None:
        """Tell the progress, and pass on a request to stop."""
        if not self.asked and self.stop():
            self.asked = True
            stop_file.touch()
        if time.monotonic() - self._told >= POLL_SECONDS:
            self.tell()

    def tell(self) -> None:
        """Tell the progress now."""
        self._told = time.monotonic()
        self.progress(self._done(), len(self.records) * self.tuning.steps, self._words)

    def summary(self) -> str:
        """How far each unfinished trial is."""
        left = self.left()
        return f"{len(left)} of {len(self.records)} trials unfinished"

    def _done(self) -> int:
        """Steps, those that are not needed any more among them."""
        return sum(
            self.tuning.steps if record.ended or stop is not None else record.step
            for record, stop in zip(self.records, self._stopped, strict=True)
        )

    def _say(self, index: int, words: str) -> None:
        self._words = f"trial {index + 1} of {len(self.records)}: {words}"
        self._told = -math.inf  # now, not in a second

    def _value(self, point: Point) -> float:
        return point.values[self.tuning.metric]


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder that is empty at first and gone afterwards; a killed run may have left one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
