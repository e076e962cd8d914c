"""Retraining as trials: several settings in parallel, stopped early where others do better, resumable.

Owns the driver: which trials are left, what it hears of them, and when it ends.  What a trial is and when it is
stopped is `trials`', how one is trained `trial_work`'s, how Ray Tune runs many `tune_run`'s.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.errors import Interrupted
from runner.parallel.errors import ClusterFailed
from runner.parallel.resources import Resources
from runner.parallel.session import RaySettings, ray_session
from runner.parallel.trial_work import StopTrial, TrialWork
from runner.parallel.trials import Mode, Point, StoppingRule, Train, TrialRecord, TrialSettings, Tuning

if TYPE_CHECKING:
    from runner.parallel.trials import TuneResult

SCRATCH = ".ray"  # of Tune, in the folder of the trials, because both must be seen by every worker
POLL_SECONDS = 1.0  # between two words of progress
LOSSES_IN_A_ROW = 3  # of Ray itself


def tune_retraining(
    train: Train,
    *,
    grid: Sequence[TrialSettings],
    metric: str,
    mode: Mode,
    steps: int,
    rule: StoppingRule,
    folder: Path,
    workers: int | Literal["serial"],
    resources: Resources = Resources(),  # noqa: B008  (a frozen value)
    progress: Callable[[int, int, str], None] = lambda done, total, detail: None,
    stop: Callable[[], bool] = lambda: False,
    max_failures: int = 2,
) -> TuneResult:
    """Train every trial of the grid, in up to `workers` processes; the best by `metric` of those that finish.

    `train` is sent to those processes; with "serial" workers it is called in this one, without Ray.  It reports
    `metric` at the last of `steps` steps and, for the rungs of `rule`, before.  What it raises fails its trial, a lost
    process is replaced up to `max_failures` times.  `progress` hears of (steps done over all trials, of how many, a few
    words) about once a second, in this process.

    The same call goes on where an earlier one was cut off, and returns a result that is complete without any work.
    Where training repeats bit by bit, so does the result, however many workers there are.

    Raises `Interrupted` where `stop` said so, `AllTrialsFailed`, `Conflict` if the folder holds other trials,
    `TuningError`, and what `ray_session` raises.
    """
    tuning = Tuning(folder=folder.absolute(), grid=tuple(grid), metric=metric, mode=mode, steps=steps, rule=rule)
    result = tuning.begin()
    if result is not None:
        return result
    run = Run(tuning=tuning, records=tuning.records(), progress=progress, stop=stop)
    if not run.left():  # cut off after the last trial had ended
        return tuning.conclude(run.records)
    if workers == "serial":
        _train_serially(run, train)
    else:
        _train_on_ray(run, train, workers, resources, max_failures)
    run.tell()
    return tuning.conclude(run.records)


def _train_serially(run: Run, train: Train) -> None:
    """Bring every trial to its end in this process."""
    while left := run.left_unless_asked_to_stop():
        index = left[0]

        def tell(message: Mapping[str, Any], index: int = index) -> None:
            if run.hear(index, message):
                raise StopTrial
            run.poll()

        work = TrialWork(tuning=run.tuning, train=train, stop=run.poll, tell=tell)
        with suppress(StopTrial):
            work(index)


def _train_on_ray(run: Run, train: Train, workers: int, resources: Resources, max_failures: int) -> None:
    """Bring every trial to its end in worker processes."""
    losses = 0
    with ray_session(RaySettings.from_environment(math.ceil(workers * resources.cpus))) as session:
        from runner.parallel.tune_run import RayLost, check_room, run_tune  # Ray reads its settings from the session

        check_room(session.settings, resources)
        run.alive = session.alive
        while left := run.left_unless_asked_to_stop():
            before = run.steps()
            try:
                with _scratch(run.tuning.folder / SCRATCH) as scratch:
                    run_tune(run, left, train, scratch, workers, resources, max_failures)
            except RayLost:
                losses = 1 if run.steps() > before else losses + 1
                if losses == LOSSES_IN_A_ROW:
                    raise ClusterFailed(
                        f"Ray died {losses} times without any progress in between; see the system's log"
                    ) from None
                session.restart()


# The driver


@dataclass(kw_only=True)
class Run:
    """What the driver knows of the trials while they run."""

    tuning: Tuning
    records: list[TrialRecord]
    progress: Callable[[int, int, str], None]
    stop: Callable[[], bool]
    asked: bool = False  # to stop
    alive: Callable[[], bool] = lambda: True  # whether Ray itself is
    _stopped: list[Point | None] = field(default_factory=list)
    _words: str = "starting workers"
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

    def left_unless_asked_to_stop(self) -> list[int]:
        """The same; raises `Interrupted` where there are some and someone asked to stop."""
        left = self.left()
        if left and self.poll():
            raise Interrupted(f"stopped with {len(left)} of {len(self.records)} trials unfinished; all is kept")
        return left

    def hear(self, index: int, message: Mapping[str, Any]) -> bool:
        """Take in what a trial told; whether it is to stop early."""
        record = self.records[index]
        new = [record.add(Point(step, values)) for step, values in message.get("points", ())]
        record.finished = record.finished or bool(message.get("finished"))
        if message.get("failure") is not None:
            self.fail(index, str(message["failure"]))
        elif any(new):
            self._say(index, self._scored(record))
        before, self._stopped = self._stopped, self.tuning.stops(self.records)
        for other, (was, end) in enumerate(zip(before, self._stopped, strict=True)):
            if was is None and end is not None:
                self._say(other, f"stopped early, {self.tuning.metric} {self._value(end):.4g} at step {end.step}")
        return self._stopped[index] is not None

    def fail(self, index: int, reason: str) -> None:
        """Note that a trial cannot be trained to the end."""
        self.records[index].failure = reason
        self._say(index, f"failed: {reason}")

    def poll(self) -> bool:
        """Tell the progress; whether someone asked to stop, now or before."""
        self.asked = self.asked or self.stop()
        if time.monotonic() - self._told >= POLL_SECONDS:
            self.tell()
        return self.asked

    def tell(self) -> None:
        """Tell the progress now."""
        self._told = time.monotonic()
        self.progress(self.steps(), len(self.records) * self.tuning.steps, self._words)

    def steps(self) -> int:
        """Steps over all trials, those that are not needed any more among them."""
        return sum(
            self.tuning.steps if record.ended or stop is not None else record.step
            for record, stop in zip(self.records, self._stopped, strict=True)
        )

    def _say(self, index: int, words: str) -> None:
        self._words = f"trial {index + 1} of {len(self.records)}: {words}"
        self._told = -math.inf  # now, not in a second

    def _scored(self, record: TrialRecord) -> str:
        """The newest score of a trial, and its best so far."""
        pick = max if self.tuning.mode == "maximize" else min
        best = pick(record.points, key=self._value)
        newest = f"{self.tuning.metric} {self._value(record.points[-1]):.4g} at step {record.step}"
        return newest if best.step == record.step else f"{newest}, best {self._value(best):.4g} at step {best.step}"

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
