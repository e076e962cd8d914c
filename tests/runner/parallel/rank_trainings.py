"""A quick training that ranks do together, and a driver that is interrupted or killed in the middle of it.

Usage: python -m tests.runner.parallel.rank_trainings FOLDER [--wait STEP] [--interrupt|--kill STEP]...

With --wait, all ranks stand still after that step until they are asked to stop.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from runner.parallel.resources import Resources
from runner.parallel.train_ranks import train_on_ranks
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import HealthPoint, Loop, LoopConfig, Stopped, Watcher
from tests.runner.parallel.processes import wait_until
from tests.runner.parallel.trainings import Faults
from tests.supernet.training.small import CLASSES, FEATURES, small_task

if TYPE_CHECKING:
    from supernet.training.reducer import Reducer

STEPS = 60
CONFIG = LoopConfig(steps=STEPS, batch=8, learning_rate=0.02, checkpoint_every=10, health_every=15, seed=1)


@dataclass(frozen=True, kw_only=True)
class SmallTraining:
    """Of a small network, with a pause after each step so that something can happen meanwhile."""

    folder: Path
    fail_at: int | None = None  # the loss of the last rank is NaN in this step
    pause_s: float = 0.0
    waits_after: int | None = None  # step after which all ranks stand still until they are asked to stop

    def __call__(self, reducer: Reducer, watcher: Watcher) -> None:
        torch.set_num_threads(1)
        layers = (torch.nn.Linear(FEATURES, 8), torch.nn.GELU(), torch.nn.Linear(8, CLASSES))
        module = torch.nn.Sequential(*layers)
        generator = torch.Generator().manual_seed(3 + reducer.rank)  # the first rank's weights count
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
        last = reducer.rank == reducer.ranks - 1

        def step(batch: Any) -> torch.Tensor:
            time.sleep(self.pause_s)
            if batch.step == self.waits_after:
                wait_until(watcher.stop, 60.0, lambda: "the training was never asked to stop")
            total = torch.nn.functional.cross_entropy(module(batch.inputs), batch.targets)
            batch.backward(total)
            return total.detach() * (float("nan") if last and batch.step == self.fail_at else 1.0)

        Loop(
            model=module,
            task=small_task(),
            step=step,
            config=CONFIG,
            checkpoints=Checkpoints(self.folder),
            measure_health=lambda done: HealthPoint(done, {"norm": float(module[0].weight.detach().norm())}),
            watcher=watcher,
            reducer=reducer,
        ).run()


def together(train: SmallTraining, watcher: Watcher | None = None, **others: Any) -> list[str]:
    """Train on two ranks as all tests do; the notes."""
    notes: list[str] = []
    train_on_ranks(
        train,
        ranks=2,
        resources=Resources(),
        folder=train.folder,
        watcher=watcher or Watcher(),
        note=notes.append,
        **others,
    )
    return notes


def main() -> None:
    faults = Faults(sys.argv[2:])
    progress: Callable[[int, int, float], None] = lambda done, steps, loss: faults.progress(done, steps, "")  # noqa: E731
    train = SmallTraining(folder=Path(sys.argv[1]), pause_s=0.05, waits_after=faults.waits_after)
    try:
        together(train, Watcher(progress=progress, stop=faults.stop))
    except Stopped:
        sys.exit(130)


if __name__ == "__main__":
    main()
