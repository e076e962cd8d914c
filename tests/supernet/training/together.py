"""Trainings that one process does alone and several do together, and a rank of the latter as a process of its own.

Usage: python -m tests.supernet.training.together FOLDER RANK RANKS

Every rank does all of `SCENARIOS` in one process group, because to start a process takes seconds, and leaves what came
of each in FOLDER.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from supernet.errors import TrainingError
from supernet.shared_weights import SharedWeights
from supernet.tasks.task import UNLABELLED, Split, Task
from supernet.training.checkpoint import Checkpoints
from supernet.training.collapse import CollapseRule
from supernet.training.loop import HealthPoint, Loop, LoopConfig, Stopped, Watcher
from supernet.training.process_group import ProcessGroup
from supernet.training.sampling import MultiArchitecture, Sandwich, SubnetSampler
from supernet.training.supernet import train_supernet
from tests.supernet.training.small import CLASSES, FEATURES, small_space, small_task

if TYPE_CHECKING:
    from search_spaces import Architecture, SearchSpace
    from supernet.training.reducer import Reducer

STEPS = 50
BUCKET_BYTES = 200  # several reductions a step


class LayerNormNet(nn.Module):
    """Without batch statistics: its rows are computed independently of each other."""

    def __init__(self, architecture: Architecture, dropout: float = 0.0) -> None:
        super().__init__()
        width = int(architecture["width"])
        self.enter = nn.Linear(FEATURES, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(int(architecture["depth"])))
        self.leave = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.enter(x)).tanh())
        for layer in self.layers:
            x = x + layer(x).tanh()
        return self.leave(x)


class DroppingNet(LayerNormNet):
    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, dropout=0.3)


def positions_task() -> Task:
    """Targets by position, of which every second sample has none and the others few: now and then a rank has none."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(24, 4, FEATURES, generator=generator)
    targets = (inputs[..., 0] > 0).long() + (inputs[..., 1] > 0).long()
    targets[torch.rand(24, 4, generator=generator) < 0.6] = UNLABELLED
    targets[0::2, 0] = 1
    targets[1::2] = UNLABELLED
    split = Split(inputs, targets)
    return Task(
        name="p", train=split, validation=split, test=split, classes=CLASSES, kind="features", per_position=True
    )


CONFIG = LoopConfig(steps=STEPS, batch=10, learning_rate=0.01, checkpoint_every=20, health_every=25, seed=3)


@dataclass(frozen=True)
class Scenario:
    """A training of shared weights, and how."""

    sampler: Callable[[SearchSpace], SubnetSampler]
    config: LoopConfig = CONFIG
    task: Callable[[], Task] = small_task
    build: Callable[[Architecture], nn.Module] = LayerNormNet

    def train(self, reducer: Reducer, folder: Path | None = None, watcher: Watcher | None = None) -> SharedWeights:
        weights = SharedWeights(self.build, small_space(), seed=1)
        train_supernet(
            weights,
            self.task(),
            self.sampler(weights.space),
            self.config,
            checkpoints=Checkpoints(folder) if folder else None,
            watcher=watcher,
            reducer=reducer,
        )
        return weights


SCENARIOS = {
    "sandwich": Scenario(Sandwich),
    # Row n of 5 belongs to subnet n: the second of two ranks has rows of subnets 3 and 4 only.
    "multi": Scenario(lambda space: MultiArchitecture(space, 5), replace(CONFIG, batch=5)),
    "accumulate": Scenario(lambda space: MultiArchitecture(space, 2), replace(CONFIG, accumulate=2, batch=11)),
    "positions": Scenario(Sandwich, replace(CONFIG, accumulate=2, batch=8, ema=0.9), positions_task),
    "few_rows": Scenario(Sandwich, replace(CONFIG, batch=1)),  # the second rank has none
}
DROPPING = Scenario(Sandwich, build=DroppingNet)


def parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


# What several processes come to agree on


def stop_at(step: int, *, here: bool) -> Watcher:
    """Asks to stop after a step, if it is asked here."""
    questions = iter(range(10**9))
    return Watcher(stop=lambda: next(questions) >= step and here)


def stopped_and_resumed(reducer: Reducer, folder: Path) -> SharedWeights:
    """Only the last rank is asked to stop, in the middle of two checkpoints."""
    try:
        DROPPING.train(reducer, folder, stop_at(27, here=reducer.rank == reducer.ranks - 1))
    except Stopped:
        return DROPPING.train(reducer, folder)
    raise AssertionError("it did not stop")


def refused(reducer: Reducer, folder: Path, spoil: Callable[[int, Tensor], Tensor], health: bool = True) -> str:
    """How a small training ends in which something goes wrong, and after which step."""
    torch.manual_seed(2)
    module = nn.Linear(FEATURES, CLASSES)
    done = [0]

    def step(batch: object) -> Tensor:
        total = nn.functional.cross_entropy(module(batch.inputs), batch.targets)  # type: ignore[attr-defined]
        batch.backward(total)  # type: ignore[attr-defined]
        done[0] = batch.step  # type: ignore[attr-defined]
        return spoil(done[0], total.detach())

    def measured(after: int) -> HealthPoint:
        if not health:
            raise RuntimeError("no scores")
        return HealthPoint(after, {}, {"largest": 0.1 if after < 20 else 0.9})

    told: list[int] = []
    loop = Loop(
        model=module,
        task=small_task(),
        step=step,  # type: ignore[arg-type]
        config=replace(CONFIG, health_every=5, checkpoint_every=5),
        checkpoints=Checkpoints(folder),
        measure_health=measured,
        rule=CollapseRule(chance=0.66),
        watcher=Watcher(rollback=lambda rollback: told.append(rollback.back_to)),
        reducer=reducer,
    )
    try:
        loop.run()
    except (TrainingError, RuntimeError) as error:
        return f"{type(error).__name__} in step {done[0]}, told {told}: {error}"
    raise AssertionError("it was not refused")


def nan_on_last(reducer: Reducer) -> Callable[[int, Tensor], Tensor]:
    wrong = reducer.rank == reducer.ranks - 1
    return lambda step, loss: loss * float("nan") if wrong and step >= 12 else loss


def words(reducer: Reducer, folder: Path) -> list[str]:
    blocked = folder / "file"
    if reducer.rank == 0:
        blocked.write_text("")
    return [
        refused(reducer, folder / "nan", nan_on_last(reducer)),
        refused(reducer, folder / "lost", lambda step, loss: loss),
        refused(reducer, folder / "health", lambda step, loss: loss, health=False),
        refused(reducer, blocked / "below", lambda step, loss: loss),
    ]


def main(folder: Path, rank: int, ranks: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=ranks)
    try:
        reducer = ProcessGroup(bucket_bytes=BUCKET_BYTES)
        for name, scenario in SCENARIOS.items():
            save_file(parameters(scenario.train(reducer)), folder / f"{name}-{rank}.safetensors")
        for name, weights in {
            "dropping": DROPPING.train(reducer, folder / "dropping"),
            "resumed": stopped_and_resumed(reducer, folder / "resumed"),
        }.items():
            save_file(parameters(weights), folder / f"{name}-{rank}.safetensors")
        (folder / f"words-{rank}").write_text("\n".join(words(reducer, folder)))
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
