"""Runs trials on Ray Tune, each in a worker process.

Import it inside a Ray session only.  Tune is asked to run and to replace lost processes; its own state is thrown away,
never restored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from runner.parallel.errors import InvalidResources
from runner.parallel.quiet import quiet
from runner.parallel.trial_work import TrialWork
from runner.process import settle

if TYPE_CHECKING:
    from runner.parallel.resources import Resources
    from runner.parallel.session import RaySettings
    from runner.parallel.trials import Train
    from runner.parallel.tune_retrain import Run

_INDEX = "index"  # of a trial, the only thing that Tune is told about it

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # prints errors even if it is told to be silent; `_Watch` replaces the older output
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # CSV, JSON and TensorBoard files
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C belongs to the caller
    "TUNE_STATE_REFRESH_PERIOD": str(10**9),  # seconds; it asks Ray's head, and waits if that is gone
}


class RayLost(BaseException):
    """Ray itself is gone.

    No `Exception`, because Tune would ask the Ray that is gone to clean up, and wait for it.  Tune also asks Ray's head
    whenever a trial begins; if that is when the head dies, only the session's watchdog ends the wait, with the process.
    """


def run_tune(
    run: Run,
    left: Sequence[int],
    train: Train,
    scratch: Path,
    workers: int,
    resources: Resources,
    max_failures: int,
) -> None:
    """Let Tune run the trials that are left until each has ended or was asked to stop.  Raises `RayLost`."""
    stop_file, directory = scratch / "stop", Path.cwd()
    # `tune.report` does not return where the trial is stopped: it ends the thread that trains.
    work = TrialWork(tuning=run.tuning, train=train, stop=stop_file.exists, tell=tune.report)

    def trial(config: dict[str, Any]) -> None:
        settle()
        # Tune changes the folder of its workers; a task's files may be named relative to the driver's.
        with contextlib.chdir(directory):
            work(config[_INDEX])

    watch = _Watch(run, stop_file)
    with quiet(_QUIET):
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
    if run.asked:  # a trial without a process then is only unfinished
        return
    for number in range(len(results)):
        result = results[number]
        if result.error is not None:
            assert result.config is not None
            run.fail(result.config[_INDEX], _explained(result.error, max_failures + 1))


def check_room(settings: RaySettings, resources: Resources) -> None:
    """Refuse a trial for which a Ray of our own never has room; Tune would wait for it.  A cluster may grow."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for name, needed in (("CPU", resources.cpus), ("GPU", resources.gpus)):
        if settings.address is None and needed > there.get(name, 0.0):
            raise InvalidResources(
                f"a trial needs {needed:g} {name}s, Ray has {there.get(name, 0.0):g} here; take a smaller share"
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
        if not self._run.alive():
            raise RayLost
        self._run.poll()
        if self._run.asked:
            self._stop_file.touch()
        self.idle = all(trial.status != "RUNNING" for trial in trials)

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


def _explained(error: BaseException, times: int) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, RayActorError):
        return f"its worker process was lost {times} times: {lines[0] if lines else type(error).__name__}"
    return f"it could not be run in a worker process: {lines[-1] if lines else type(error).__name__}"
