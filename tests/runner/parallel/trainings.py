"""A quick training of trials that worker processes import, and a driver that is killed in the middle of it.

Usage: python -m tests.runner.parallel.trainings FOLDER MARKERS WORKERS STEPS_UNTIL_KILLED
A STEPS_UNTIL_KILLED of 0 is never.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from runner.parallel.trials import Halving, Trial, TrialSettings, TuneResult, trial_grid
from runner.parallel.tune_retrain import tune_retraining
from supernet.tasks.registry import load_task
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import HealthPoint, LoopConfig, Stopped, Watcher
from supernet.training.retrain import retrain

STEPS = 24
RULE = Halving(rungs=(8, 16))
GRID = trial_grid(3e-3, 0.05, 4, seed=4)
DIVERGING = 1e30  # a learning rate that makes the second loss NaN


@dataclass(frozen=True, kw_only=True)
class DigitsTraining:
    """A small network on the real digits, with a report every four steps and a checkpoint every five."""

    markers: Path  # notes of the processes: who trains a trial, and whether it was killed already
    kills: Mapping[int, int] = field(default_factory=dict)  # trial -> the step after which its process is killed, once
    always_killed: tuple[int, ...] = ()
    pauses_s: Mapping[int, float] = field(default_factory=dict)  # trial -> after each step

    def __call__(self, trial: Trial) -> None:
        index = trial.settings.index
        torch.set_num_threads(1)
        self.markers.mkdir(parents=True, exist_ok=True)
        (self.markers / f"pid-{index}").write_text(str(os.getpid()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            module = torch.nn.Sequential(
                torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.GELU(), torch.nn.Linear(16, 10)
            )

        def progress(done: int, steps: int, loss: float) -> None:
            del steps, loss
            time.sleep(self.pauses_s.get(index, 0.0))
            marker = self.markers / f"killed-{index}"
            if index in self.always_killed or (self.kills.get(index) == done and not marker.exists()):
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        def health(point: HealthPoint) -> None:
            trial.report(point.step, point.values)

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


def tune(
    folder: Path,
    training: Callable[[Trial], None],
    *,
    grid: tuple[TrialSettings, ...] = GRID,
    workers: int = 2,
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


def main() -> None:
    folder, markers, workers, until = sys.argv[1:]

    def progress(done: int, total: int, detail: str) -> None:
        del total, detail
        if int(until) and done >= int(until):
            os.kill(os.getpid(), signal.SIGKILL)

    # A process that is to be killed must still be at work when the driver hears of it.
    pauses = dict.fromkeys(range(len(GRID)), 0.05)
    result = tune(
        Path(folder), DigitsTraining(markers=Path(markers), pauses_s=pauses), workers=int(workers), progress=progress
    )
    sys.stdout.write(f"{result.best.settings.index}\n")


if __name__ == "__main__":
    main()
