"""Runs trials on Ray Tune: what happens in the processes that train, and how Tune is driven.

Import it inside a Ray session only.  Tune is asked to run and to replace lost processes; its own state is thrown away,
never restored.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from runner.errors import exit_code
from runner.parallel.trials import Point, Train, TrialRecord, TrialSettings, Tuning, TuningError

if TYPE_CHECKING:
    from runner.parallel.tune_retrain import Run, TrialResources

LOCK_SECONDS = 120.0  # how long a trial waits for a process of an earlier run to let go of its folder
_INDEX = "index"  # of a trial, the only thing that Tune is told about it

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # prints errors even if it is told to be silent; `_Watch` replaces the older output
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # CSV, JSON and TensorBoard files
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C belongs to the caller
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
_CHATTY = ("ray.tune", "ray.train", "ray.air")


def run_tune(
    run: Run,
    left: Sequence[int],
    train: Train,
    scratch: Path,
    workers: int,
    resources: TrialResources,
    max_failures: int,
) -> None:
    """Let Tune run the trials that are left until each has ended or was asked to stop."""
    job = _Job(tuning=run.tuning, train=train, stop_file=scratch / "stop", directory=Path.cwd())

    def trial(config: dict[str, Any]) -> None:
        _work(job, config[_INDEX])

    watch = _Watch(run, job.stop_file)
    with _quiet():
        tuner = tune.Tuner(
            tune.with_resources(trial, {"cpu": resources.cpus, "gpu": resources.gpus}),
            param_space={_INDEX: tune.grid_search(list(left))},
            tune_config=tune.TuneConfig(
                scheduler=_Scheduler(run),
                max_concurrent_trials=workers,
                reuse_actors=True,  # a new process imports torch for seconds
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(scratch),
                stop=_StopAsked(run, watch),
                callbacks=[watch],
                failure_config=tune.FailureConfig(max_failures=max_failures),
                verbose=0,
            ),
        )
        results = tuner.fit()
    if run.asked:
        return
    for number in range(len(results)):
        result = results[number]
        if result.error is not None:
            assert result.config is not None
            run.fail(
                result.config[_INDEX],
                f"its worker process was lost {max_failures + 1} times: {_first_line(result.error)}",
            )


class _Scheduler(FIFOScheduler):
    """Starts trials in order, and stops those that the rule of the tuning stops."""

    def __init__(self, run: Run) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._run = run

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        del tune_controller
        decision = TrialScheduler.STOP if self._run.hear(trial.config[_INDEX], result) else TrialScheduler.CONTINUE
        return str(decision)


class _Watch(TrialProgressCallback):
    """Called by Tune's loop several times a second.  Takes the place of the callback that prints, and is silent."""

    def __init__(self, run: Run, stop_file: Path) -> None:
        super().__init__()
        self._run, self._stop_file = run, stop_file
        self.idle = False  # whether no trial is at work

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._run.poll(self._stop_file)
        self.idle = all(trial.status != "RUNNING" for trial in trials)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Nothing is printed."""

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Nothing is printed."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Nothing is printed."""


class _StopAsked(tune.Stopper):
    """Ends Tune's run once everyone who was asked to stop has."""

    def __init__(self, run: Run, watch: _Watch) -> None:
        self._run, self._watch = run, watch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._run.asked and self._watch.idle


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Tune without its words on the terminal, its files and its signal handlers."""
    before = {name: os.environ.get(name) for name in _QUIET}
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    on_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGUSR1)
    os.environ.update(_QUIET)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        if on_main_thread:
            signal.signal(signal.SIGUSR1, handler)  # Tune takes it and does not give it back
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# The worker processes


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What a worker process is sent."""

    tuning: Tuning
    train: Train
    stop_file: Path
    directory: Path  # the driver's, because Tune changes it and a task's files may be named relative to it


@dataclass(frozen=True, kw_only=True)
class _TrialAtWork:
    """A trial as its training sees it."""

    job: _Job
    record: TrialRecord

    @property
    def settings(self) -> TrialSettings:
        return self.record.settings

    @property
    def folder(self) -> Path:
        return self.job.tuning.trial_folder(self.settings.index)

    def report(self, step: int, values: Mapping[str, float]) -> None:
        metric = self.job.tuning.metric
        if metric not in values:
            raise TuningError(f"a trial reported {', '.join(values) or 'nothing'}, but is judged by {metric!r}.")
        if not math.isfinite(values[metric]):
            raise TuningError(f"{metric} became {values[metric]} at step {step} of {self.job.tuning.steps}.")
        point = Point(step, {name: float(value) for name, value in values.items()})
        if self.record.add(point):
            self.record.save(self.folder)  # before the driver hears of it: it must not know more than a restart would
            _tell([point])

    def stop(self) -> bool:
        return self.job.stop_file.exists()


def _work(job: _Job, index: int) -> None:
    """Train one trial in this process and tell the driver what became of it."""
    settings = job.tuning.grid[index]
    folder = job.tuning.trial_folder(index)
    with contextlib.chdir(job.directory), _alone(folder):
        record = TrialRecord.load(folder, settings)
        if record.points:
            _tell(record.points)
        if not record.finished:
            trial = _TrialAtWork(job=job, record=record)
            failure = _train(job, trial)
            if failure is not None:
                _tell([], failure=failure)
                return
            if record.step < job.tuning.steps:  # asked to stop
                return
            record.finished = True
            record.save(folder)
        _tell([], finished=True)


def _train(job: _Job, trial: _TrialAtWork) -> str | None:
    """The reason of a failure, None where there is none or where the trial was asked to stop."""
    try:
        job.train(trial)
    except Exception as error:  # noqa: BLE001  (whatever it is, it fails this trial and not the others)
        if trial.stop():
            return None
        return str(error) if exit_code(error) is not None else f"{type(error).__name__}: {error}"
    if trial.record.step < job.tuning.steps and not trial.stop():
        return f"it ended after step {trial.record.step} of {job.tuning.steps} without a word"
    return None


def _tell(points: Sequence[Point], *, finished: bool = False, failure: str | None = None) -> None:
    """Send a message to the driver; ends this trial's thread (`SystemExit`) where the driver stops the trial."""
    tune.report(
        {
            "points": [(point.step, dict(point.values)) for point in points],
            "finished": finished,
            "failure": failure,
        }
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a trial's folder, which the system releases when this process ends, however it ends.

    A process whose driver was killed may live on for a moment; two of them must not write to one folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TuningError(f"another process has trained in {folder} for {LOCK_SECONDS:g} s.") from None
                time.sleep(0.1)
        yield
