"""Going back to the last healthy checkpoint: where to, with which learning rate, how often, and exactly resumed.

The network is one whose weights drift by the learning rate in each step, and which loses everything for good when one
of the later steps is too large; a lower learning rate is therefore what saves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from supernet.errors import CheckpointError, NonFiniteLoss, TrainingCollapsed
from supernet.training.checkpoint import Checkpoints
from supernet.training.collapse import MOST_ROLLBACKS, CollapseRule, Rollback
from supernet.training.loop import HealthPoint, Loop, LoopConfig, Stopped, Watcher
from supernet.training.optimizer import learning_rate
from tests.supernet.training.small import equal, small_task

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.training.batches import Batch

CONFIG = LoopConfig(
    steps=24, batch=8, checkpoint_every=4, health_every=2, learning_rate=0.1, warmup=0.0, weight_decay=0.0, ema=0.5
)


class Fragile(nn.Module):
    """Its buffers are part of every checkpoint, so that going back heals it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("before", torch.zeros(3))
        self.register_buffer("broken", torch.tensor(0))


@dataclass
class Attempt:
    """A network to be trained, and what its watchers heard."""

    limit: float  # of the size of a step, from step 7 on
    poisoned: int | None = None  # the step whose loss is not a number
    module: Fragile = field(default_factory=Fragile)
    heard: list[Rollback] = field(default_factory=list)
    moments: int = 0

    def step(self, batch: Batch) -> Tensor:
        weight = self.module.weight
        if batch.step >= 7 and float((weight.detach() - self.module.before).abs().max()) > self.limit:
            self.module.broken.fill_(1)
        self.module.before.copy_(weight.detach())
        total = weight.sum()
        batch.backward(total)
        return total.detach() * (math.nan if batch.step == self.poisoned else 1)

    def health(self, done: int) -> HealthPoint:
        wrong = 0.7 if self.module.broken else 0.1
        return HealthPoint(done, {"drift": -float(self.module.weight.detach().mean())}, {"largest": wrong})

    def run(self, folder: Path | None, *, stop_at: int = 10**9, crash_at: int = 10**9) -> list[HealthPoint]:
        """Stop or crash at a moment: steps are no measure here, since some are done again."""

        def progress(done: int, steps: int, loss: float) -> None:
            self.moments += 1
            if self.moments == crash_at:
                raise Crash

        loop = Loop(
            model=self.module,
            task=small_task(),
            step=self.step,
            config=CONFIG,
            checkpoints=Checkpoints(folder) if folder else None,
            measure_health=self.health,
            rule=CollapseRule(chance=0.66),
            watcher=Watcher(progress=progress, rollback=self.heard.append, stop=lambda: self.moments >= stop_at),
        )
        return loop.run()


class Crash(Exception):
    pass


def final(folder: Path) -> dict[str, Tensor]:
    checkpoint = Checkpoints(folder).latest()
    assert checkpoint is not None
    assert checkpoint.step == CONFIG.steps
    return checkpoint.tensors


def drift_of(rollbacks: list[Rollback]) -> float:
    """How far a run drifts on the path that survives its rollbacks, summed by hand."""
    total = 0.0
    for step in range(CONFIG.steps):
        # A step counts as it was done after the last return to before it.
        number = max((rollback.number for rollback in rollbacks if rollback.back_to <= step), default=0)
        total += learning_rate(step, CONFIG) * 0.5**number
    return total


def test_a_run_that_stays_healthy_never_goes_back(tmp_path: Path) -> None:
    attempt = Attempt(limit=10.0)
    attempt.run(tmp_path)
    assert attempt.heard == []
    assert -float(final(tmp_path)["model.weight"].mean()) == pytest.approx(drift_of([]), rel=1e-4)


@pytest.mark.parametrize(("limit", "count"), [(0.05, 1), (0.03, 2), (0.015, 3)])
def test_a_collapse_leads_back_to_before_it_and_on_at_half_the_rate(tmp_path: Path, limit: float, count: int) -> None:
    """Broken in step 7: lost at the checks after 8, 10 and 12; of the checkpoints, that after 4 was made before."""
    attempt = Attempt(limit)
    curve = attempt.run(tmp_path)
    assert [(r.number, r.found_after, r.back_to) for r in attempt.heard] == [(n, 12, 4) for n in range(1, count + 1)]
    assert "the largest subnet, which had 10% of its predictions wrong, is back at 70%" in attempt.heard[0].reason
    assert -float(final(tmp_path)["model.weight"].mean()) == pytest.approx(drift_of(attempt.heard), rel=1e-4)
    assert [point.step for point in curve] == list(range(2, 25, 2)), "what was undone is not in the curve"
    assert all(point.wrong == {"largest": 0.1} for point in curve)


def test_the_fourth_collapse_is_the_end_and_says_what_happened(tmp_path: Path) -> None:
    attempt = Attempt(limit=0.001)
    with pytest.raises(TrainingCollapsed) as caught:
        attempt.run(tmp_path)
    assert len(attempt.heard) == MOST_ROLLBACKS
    message = str(caught.value)
    assert message.count("back to step") == 3
    for word in ("training collapsed after step", "is back at 70%", str(tmp_path), "Lower the learning rate"):
        assert word in message


def test_a_loss_that_is_not_finite_leads_back_to_before_the_step(tmp_path: Path) -> None:
    """From the checkpoint of the very step nothing but the same could follow, so it is the one before."""
    attempt = Attempt(limit=10.0, poisoned=8)
    with pytest.raises(TrainingCollapsed, match="the loss became nan"):
        attempt.run(tmp_path)
    assert [(r.found_after, r.back_to, r.reason) for r in attempt.heard] == [(8, 4, "the loss became nan")] * 3


def test_at_the_first_step_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    attempt = Attempt(limit=10.0, poisoned=0)
    with pytest.raises(NonFiniteLoss, match=r"at step 1 of 24 .*step-00000000"):
        attempt.run(tmp_path)
    assert attempt.heard == []


def test_without_checkpoints_a_collapse_is_the_end() -> None:
    with pytest.raises(TrainingCollapsed, match=r"after step 12 .*no checkpoint had been written"):
        Attempt(limit=0.05).run(None)
    with pytest.raises(NonFiniteLoss, match="no checkpoint had been written"):
        Attempt(limit=10.0, poisoned=5).run(None)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Attempt, list[HealthPoint], dict[str, Tensor]]:
    """It goes back twice: of its moments, step 12 is the twelfth and, between the rollbacks, the twentieth."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    attempt = Attempt(limit=0.03)
    curve = attempt.run(folder)
    assert (len(attempt.heard), attempt.moments) == (2, 40)
    return attempt, curve, final(folder)


@pytest.mark.parametrize("moment", [3, 8, 11, 12, 13, 19, 20, 39])
@pytest.mark.parametrize("how", ["stop_at", "crash_at"])
def test_a_resumed_run_goes_back_where_the_uninterrupted_one_did(
    tmp_path: Path, uninterrupted: tuple[Attempt, list[HealthPoint], dict[str, Tensor]], moment: int, how: str
) -> None:
    """Ended before a collapse, between it and its discovery, just then, and between two rollbacks."""
    whole, curve, tensors = uninterrupted
    with pytest.raises((Stopped, Crash)):
        Attempt(limit=0.03).run(tmp_path, **{how: moment})
    resumed = Attempt(limit=0.03)
    assert resumed.run(tmp_path) == curve
    assert resumed.heard == whole.heard
    assert equal(final(tmp_path), tensors)
    assert torch.equal(resumed.module.weight, whole.module.weight)


def test_a_run_that_is_stopped_after_every_step_goes_back_all_the_same(tmp_path: Path) -> None:
    whole = Attempt(0.05)
    curve = whole.run(tmp_path / "whole")
    for _ in range(whole.moments - 1):
        with pytest.raises(Stopped):
            Attempt(0.05).run(tmp_path / "parts", stop_at=1)
    assert Attempt(0.05).run(tmp_path / "parts") == curve
    assert equal(final(tmp_path / "parts"), final(tmp_path / "whole"))


def test_a_damaged_healthy_checkpoint_costs_steps_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        Attempt(limit=0.05).run(tmp_path, crash_at=11)
    (tmp_path / "step-00000004.safetensors").write_bytes(b"damaged")
    resumed = Attempt(limit=0.05)
    resumed.run(tmp_path)
    assert resumed.heard[0].back_to == 0
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        Attempt(limit=0.05).run(tmp_path)
