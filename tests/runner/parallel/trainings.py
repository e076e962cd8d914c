"""A quick training of trials that worker processes import, and a driver that is interrupted in the middle of it.

Usage: python -m tests.runner.parallel.trainings FOLDER [--misbehave]
       [--wait STEP] [--interrupt|--kill|--kill-raylet STEPS]...

As soon as STEPS are done over all trials, the driver interrupts its process group, kills itself, or kills its raylet.
With --wait, each trial stands still after it told of STEP until it is asked to stop; with --misbehave, most fail.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from runner.errors import Interrupted
from runner.parallel.trials import StoppingRule, Trial, TrialSettings, TuneResult, trial_grid
from runner.parallel.tune_retrain import tune_retraining
from supernet.tasks.registry import load_task
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import HealthPoint, LoopConfig, Stopped, Watcher
from supernet.training.retrain import retrain
from tests.runner.parallel.processes import VARIABLE, Marked, wait_until

STEPS = 24
RULE = StoppingRule(rungs=(8, 16))
GRID = trial_grid(3e-3, 0.05, 4, seed=4)
DIVERGING = 1e30  # a learning rate that makes the second loss NaN
AT_ONCE = 3  # exit code of a driver that was interrupted twice


@dataclass(frozen=True, kw_only=True)
class DigitsTraining:
    """A small network on the real digits, with a report every four steps and a checkpoint every five."""

    markers: Path  # tells which trials were killed already
    kills: Mapping[int, int] = field(default_factory=dict)  # trial -> the step after which its process is killed, once
    always_killed: tuple[int, ...] = ()
    pauses_s: Mapping[int, float] = field(default_factory=dict)  # trial -> after each step
    waits_after: int | None = None  # report after which each trial stands still until it is asked to stop
    directory: Path | None = None  # where it must run

    def __call__(self, trial: Trial) -> None:
        assert self.directory is None or self.directory.samefile(Path.cwd())
        index = trial.settings.index
        torch.set_num_threads(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            layers = (torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.GELU(), torch.nn.Linear(16, 10))
            module = torch.nn.Sequential(*layers)

        def progress(done: int, steps: int, loss: float) -> None:
            del steps, loss
            time.sleep(self.pauses_s.get(index, 0.0))
            marker = self.markers / f"killed-{index}"
            if index in self.always_killed or (self.kills.get(index) == done and not marker.exists()):
                marker.parent.mkdir(exist_ok=True)
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        def health(point: HealthPoint) -> None:
            trial.report(point.step, point.values)
            if point.step == self.waits_after:
                wait_until(trial.stop, 60.0, lambda: f"trial {index} was never asked to stop")

        config = LoopConfig(
            steps=STEPS,
            batch=64,
            learning_rate=trial.settings.learning_rate,
            weight_decay=trial.settings.weight_decay,
            checkpoint_every=5,
            health_every=4,
            seed=1,
        )
        try:
            retrain(
                module,
                load_task("digits"),
                config,
                checkpoints=Checkpoints(trial.folder),
                watcher=Watcher(progress=progress, health=health, stop=trial.stop),
            )
        except Stopped:
            return


class Misbehaving(DigitsTraining):
    """Trial 2 ends without a word, trial 3 reports something else than it is judged by."""

    def __call__(self, trial: Trial) -> None:
        if trial.settings.index == 2:
            return
        if trial.settings.index == 3:
            trial.report(4, {"error": 0.5})
        super().__call__(trial)


def misbehave(folder: Path) -> TuneResult:
    """Five trials: one diverges, the processes of one are always killed, two misbehave, the last one is good."""
    fifth = TrialSettings(index=4, learning_rate=1e-3, weight_decay=0.0)
    grid = (replace(GRID[0], learning_rate=DIVERGING), *GRID[1:], fifth)
    return tune(folder, Misbehaving(markers=folder.parent, always_killed=(1,)), grid=grid, max_failures=1)


def tune(
    folder: Path,
    training: Callable[[Trial], None],
    *,
    grid: tuple[TrialSettings, ...] = GRID,
    workers: Any = 2,
    **others: Any,
) -> TuneResult:
    """Tune as all tests do."""
    return tune_retraining(
        training,
        grid=grid,
        metric="loss",
        mode="minimize",
        steps=STEPS,
        rule=RULE,
        folder=folder,
        workers=workers,
        **others,
    )


class Faults:
    """What the driver does to itself, and how it takes signals: as the command line does."""

    def __init__(self, arguments: list[str]) -> None:
        pairs = list(zip(arguments[::2], map(int, arguments[1::2]), strict=True))
        self.waits_after = dict(pairs).get("--wait")  # for the training
        self._left = [(fault, steps) for fault, steps in pairs if fault != "--wait"]
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def stop(self) -> bool:
        return self.asked

    def progress(self, done: int, total: int, detail: str) -> None:
        del total, detail
        while self._left and done >= self._left[0][1]:
            fault, _ = self._left.pop(0)
            if fault == "--interrupt":
                os.killpg(os.getpgrp(), signal.SIGINT)
            elif fault == "--kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif fault == "--kill-raylet":
                mine = Marked()
                mine.mark = os.environ[VARIABLE]
                (raylet,) = mine.named("/raylet/raylet")
                os.kill(raylet, signal.SIGKILL)

    def _ask(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def main() -> None:
    folder = Path(sys.argv[1])
    if "--misbehave" in sys.argv:
        misbehave(folder)
        return
    faults = Faults(sys.argv[2:])
    pauses = dict.fromkeys(range(len(GRID)), 0.1)  # the driver must hear of a trial before it is over
    training = DigitsTraining(markers=folder.parent, pauses_s=pauses, waits_after=faults.waits_after)
    try:
        tune(folder, training, progress=faults.progress, stop=faults.stop)
    except Interrupted as interruption:
        sys.exit(interruption.exit_code)
    except KeyboardInterrupt:
        sys.exit(AT_ONCE)


if __name__ == "__main__":
    main()
