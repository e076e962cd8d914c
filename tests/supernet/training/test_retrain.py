"""Training of one architecture on its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from supernet.tasks.task import loss as task_loss
from supernet.training.checkpoint import Checkpoints
from supernet.training.distillation import DISTILLATION_SHARE, soft_cross_entropy
from supernet.training.loop import LoopConfig, Stopped, Watcher, batch_of, derive_seed
from supernet.training.retrain import retrain
from tests.supernet.training.small import CLASSES, FEATURES, equal, small_net, small_task, state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

CONFIG = LoopConfig(steps=10, batch=8, checkpoint_every=4, health_every=5, learning_rate=0.03, seed=2)


class Crash(Exception):
    pass


def interrupted_at(step: int, how: str) -> Watcher:
    now = [0]

    def progress(done: int, steps: int, loss: float) -> None:
        now[0] = done
        if done == step and how == "crash":
            raise Crash

    return Watcher(progress=progress, stop=lambda: how == "stop" and now[0] >= step)


def final(folder: Path) -> dict[str, Tensor]:
    checkpoint = Checkpoints(folder).latest()
    assert checkpoint is not None
    assert checkpoint.step == CONFIG.steps
    return checkpoint.tensors


@pytest.mark.parametrize("how", ["stop", "crash"])
@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("taught", [False, True])
def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(tmp_path: Path, how: str, step: int, taught: bool) -> None:
    teacher = small_net(seed=8) if taught else None
    whole, parts = Checkpoints(tmp_path / "whole"), Checkpoints(tmp_path / "parts")
    expected = small_net()
    curve = retrain(expected, small_task(), CONFIG, teacher=teacher, checkpoints=whole)
    with pytest.raises((Stopped, Crash)):
        retrain(
            small_net(),
            small_task(),
            CONFIG,
            teacher=teacher,
            checkpoints=parts,
            watcher=interrupted_at(step, how),
        )
    resumed = small_net()
    assert retrain(resumed, small_task(), CONFIG, teacher=teacher, checkpoints=parts) == curve
    assert equal(state(resumed), state(expected))
    assert equal(final(parts.folder), final(whole.folder))


def test_the_global_random_state_is_left_alone() -> None:
    module = small_net()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    retrain(module, small_task(), CONFIG, teacher=small_net(seed=8))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_curve_holds_validation_metrics() -> None:
    module = small_net()
    curve = retrain(module, small_task(), CONFIG)
    assert [point.step for point in curve] == [5, 10]
    assert curve[-1].values == small_task().score(module, small_task().validation)
    assert curve[-1].values != small_task().score(module, small_task().test)


def test_half_of_the_loss_is_the_teachers() -> None:
    """The first reported loss against the two halves written out, with the dropout of that step."""
    task, teacher = small_task(), small_net(seed=8)
    losses: list[float] = []
    watcher = Watcher(progress=lambda done, steps, loss: losses.append(loss))
    retrain(small_net(), task, CONFIG, teacher=teacher, watcher=watcher)
    inputs, targets = batch_of(task, 0, CONFIG)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(CONFIG.seed, "step", 0))
        logits = small_net().train()(inputs)
    imitation = soft_cross_entropy(logits, teacher.eval()(inputs))
    expected = (1 - DISTILLATION_SHARE) * task_loss(logits, targets) + DISTILLATION_SHARE * imitation
    assert losses[0] == pytest.approx(expected.item(), rel=1e-6)


def test_the_teacher_stays_as_it_was() -> None:
    teacher = small_net(seed=8)
    teacher.norm.eval()
    before = state(teacher)
    modes = [child.training for child in teacher.modules()]
    retrain(small_net(), small_task(), CONFIG, teacher=teacher)
    assert equal(state(teacher), before)
    assert [child.training for child in teacher.modules()] == modes
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_training_goes_on_in_training_mode_after_each_health_check() -> None:
    """With dropout off after the first check, the two runs would differ from there on."""
    often, once = small_net(), small_net()
    retrain(often, small_task(), replace(CONFIG, health_every=1))
    retrain(once, small_task(), replace(CONFIG, health_every=10))
    assert equal(state(often), state(once))


def test_a_table_that_the_module_keeps_survives_the_health_check() -> None:
    """Such a table is made in the first forward pass, here in evaluation, and used in training afterwards."""

    class Caching(nn.Module):
        table: Tensor | None = None

        def __init__(self) -> None:
            super().__init__()
            self.leave = nn.Linear(FEATURES, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            if self.table is None:
                self.table = torch.linspace(0.5, 1.5, CLASSES)
            return self.leave(x) * self.table

    module = Caching()
    small_task().score(module, small_task().validation)
    retrain(module, small_task(), CONFIG)


def test_retraining_learns() -> None:
    module = small_net()
    curve = retrain(module, small_task(), replace(CONFIG, steps=150))
    assert curve[-1].values["error"] <= 0.3  # chance is 0.67
