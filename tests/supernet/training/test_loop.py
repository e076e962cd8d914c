"""The training loop: schedule, batches, exact resume, and what stops it."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supernet.errors import CheckpointError, NonFiniteLoss, TrainingError
from supernet.tasks.task import loss as task_loss
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import (
    HealthPoint,
    Loop,
    LoopConfig,
    Stopped,
    Watcher,
)
from supernet.training.snapshot import restore
from tests.supernet.training.small import equal, small_net, small_task, state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from supernet.training.batches import Batch

CONFIG = LoopConfig(steps=12, batch=8, checkpoint_every=5, health_every=3, learning_rate=0.05, seed=3)


def loop_of(module: nn.Module, folder: Path | None = None, **changes: Any) -> Loop:
    """A loop that trains `module` on labels."""

    def step(batch: Batch) -> Tensor:
        total = task_loss(module(batch.inputs), batch.targets)
        batch.backward(total)
        return total.detach()

    settings = {
        "config": CONFIG,
        "step": step,
        "checkpoints": Checkpoints(folder) if folder else None,
        "measure_health": lambda done: HealthPoint(
            done, {"norm": float(next(module.parameters()).detach().norm()), "step": done}
        ),
    }
    return Loop(model=module, task=small_task(), **{**settings, **changes})


def final(folder: Path) -> dict[str, Tensor]:
    """Everything in the newest checkpoint: weights, buffers, optimizer."""
    checkpoint = Checkpoints(folder).latest()
    assert checkpoint is not None
    assert checkpoint.step == CONFIG.steps
    return checkpoint.tensors


class Crash(Exception):
    pass


def crash_at(step: int) -> Watcher:
    def progress(done: int, steps: int, loss: float) -> None:
        if done == step:
            raise Crash

    return Watcher(progress=progress)


def stop_at(step: int) -> Watcher:
    done = [0]

    def progress(now: int, steps: int, loss: float) -> None:
        done[0] = now

    return Watcher(progress=progress, stop=lambda: done[0] >= step)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[HealthPoint]]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    curve = loop_of(small_net(), folder).run()
    return final(folder), curve


@pytest.mark.parametrize("step", [1, 4, 5, 6, 11])
@pytest.mark.parametrize("how", ["stopped", "crashed"])
def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]], step: int, how: str
) -> None:
    """A stop keeps its own step; a crash goes back to a checkpoint up to four steps older."""
    watcher, error = (stop_at(step), Stopped) if how == "stopped" else (crash_at(step), Crash)
    with pytest.raises(error):
        loop_of(small_net(), tmp_path, watcher=watcher).run()
    checkpoint = Checkpoints(tmp_path).latest()
    assert checkpoint is not None
    assert checkpoint.step == (step if how == "stopped" else (step - 1) // 5 * 5)
    module = small_net(seed=99)  # whatever it starts from, the checkpoint decides
    curve = loop_of(module, tmp_path).run()
    tensors, expected_curve = uninterrupted
    assert equal(final(tmp_path), tensors)
    assert any(name.startswith("optimizer.exp_avg_sq.") for name in tensors)
    assert curve == expected_curve
    assert equal(state(module), {name.removeprefix("model."): t for name, t in _with_ties(tensors).items()})


def _with_ties(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    models = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    return {**models, "model.scale_again": models["model.scale"]}


def test_a_run_that_is_interrupted_after_every_step_is_still_the_same(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]]
) -> None:
    for step in range(1, CONFIG.steps):
        with pytest.raises(Stopped, match=f"after step {step} of 12"):
            loop_of(small_net(), tmp_path, watcher=stop_at(step)).run()
    assert loop_of(small_net(), tmp_path).run() == uninterrupted[1]
    assert equal(final(tmp_path), uninterrupted[0])


def test_a_finished_run_does_nothing_more(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]]
) -> None:
    loop_of(small_net(), tmp_path).run()

    def never(batch: Batch) -> Tensor:
        raise AssertionError("a step was run")

    assert loop_of(small_net(), tmp_path, step=never).run() == uninterrupted[1]


def test_checkpoints_do_not_change_a_run(uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]]) -> None:
    assert loop_of(small_net()).run() == uninterrupted[1]


def test_optimizer_averages_lie_in_memory_as_their_parameter_does(tmp_path: Path) -> None:
    """The fused optimizer walks through memory and would pair the wrong elements."""

    class Images(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(2, 3, 3)
            self.to(memory_format=torch.channels_last)

        def forward(self, x: Tensor) -> Tensor:
            return self.convolution(x[:, :1, None, None].expand(-1, 2, 3, 3)).flatten(1)

    def images() -> Images:
        torch.manual_seed(0)
        return Images()

    with torch.random.fork_rng(devices=[]):
        loop_of(images(), tmp_path / "whole").run()
        with pytest.raises(Stopped):
            loop_of(images(), tmp_path / "parts", watcher=stop_at(6)).run()
        loop_of(images(), tmp_path / "parts").run()
    assert equal(final(tmp_path / "parts"), final(tmp_path / "whole"))


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    module = small_net()
    torch.manual_seed(1)
    random.seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    loop_of(module, tmp_path).run()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002


def test_the_global_random_state_does_not_matter(
    uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]],
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12_345)
        assert loop_of(small_net()).run() == uninterrupted[1]


def test_another_seed_gives_another_run(uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]]) -> None:
    assert loop_of(small_net(), config=replace(CONFIG, seed=4)).run() != uninterrupted[1]


def test_training_learns() -> None:
    losses: list[float] = []
    config = replace(CONFIG, steps=150)
    loop_of(small_net(), config=config, watcher=Watcher(progress=lambda d, s, loss: losses.append(loss))).run()
    assert len(losses) == 150
    assert np.mean(losses[-20:]) < 0.6 * np.mean(losses[:5])


def spoiled(module: nn.Module, at: int, spoil: Callable[[nn.Module, Tensor], Tensor]) -> Callable[..., Tensor]:
    def step(batch: Batch) -> Tensor:
        total = task_loss(module(batch.inputs), batch.targets)
        total.backward()
        return spoil(module, total.detach()) if batch.step == at else total.detach()

    return step


def infinite_gradient(module: nn.Module, total: Tensor) -> Tensor:
    gradient = next(module.parameters()).grad
    assert gradient is not None
    gradient[0] = math.inf
    return total


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda module, total: total * math.nan, "the loss became nan"),
        (lambda module, total: total * math.inf, "the loss became inf"),
        (infinite_gradient, "the gradient's norm became"),
    ],
)
def test_a_non_finite_step_names_itself_and_the_last_good_checkpoint(
    tmp_path: Path, spoil: Callable[[nn.Module, Tensor], Tensor], what: str
) -> None:
    module = small_net()
    with pytest.raises(NonFiniteLoss, match=what) as caught:
        loop_of(module, tmp_path, step=spoiled(module, 7, spoil)).run()
    assert "step 8 of 12" in str(caught.value)
    good = Checkpoints(tmp_path).latest()
    assert good is not None
    assert good.step == 5
    assert str(good.path) in str(caught.value)
    assert all(bool(parameter.isfinite().all()) for parameter in module.parameters()), "the step was taken"
    fresh = small_net(seed=1)
    restore(fresh, good.tensors, "here")
    assert all(bool(tensor.isfinite().all()) for tensor in state(fresh).values())


def test_a_non_finite_step_without_checkpoints_says_so(tmp_path: Path) -> None:
    module = small_net()
    step = spoiled(module, 0, lambda module, total: total * math.nan)
    with pytest.raises(NonFiniteLoss, match="no checkpoint had been written"):
        loop_of(module, step=step).run()
    with pytest.raises(NonFiniteLoss, match="step-00000000"):
        loop_of(module, tmp_path, step=step).run()

    def damage(module: nn.Module, total: Tensor) -> Tensor:
        for path in tmp_path.iterdir():
            path.write_bytes(b"")
        return total * math.nan

    with pytest.raises(NonFiniteLoss, match="are damaged"):
        loop_of(module, tmp_path, step=spoiled(module, 1, damage)).run()


def test_an_unwritable_folder_is_found_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done: list[int] = []
    watcher = Watcher(progress=lambda now, steps, loss: done.append(now))
    with pytest.raises(CheckpointError, match="cannot write"):
        loop_of(small_net(), tmp_path / "file" / "below", watcher=watcher).run()
    assert done == []


def test_another_model_or_other_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        loop_of(small_net(), tmp_path, watcher=stop_at(2)).run()
    narrow = small_net(width=4)
    before = state(narrow)
    with pytest.raises(CheckpointError, match=r"another model: it differs in model\.|another model.*enter"):
        loop_of(narrow, tmp_path).run()
    assert equal(state(narrow), before)
    with pytest.raises(CheckpointError, match="another model"):
        loop_of(small_net(depth=1), tmp_path).run()
    with pytest.raises(CheckpointError, match="another model"):
        loop_of(small_net().double(), tmp_path).run()
    with pytest.raises(CheckpointError, match="other settings"):
        loop_of(small_net(), tmp_path, config=replace(CONFIG, learning_rate=0.01)).run()


def test_a_damaged_newest_checkpoint_costs_steps_and_nothing_else(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]]
) -> None:
    with pytest.raises(Crash):
        loop_of(small_net(), tmp_path, watcher=crash_at(11)).run()
    (tmp_path / "step-00000010.safetensors").write_bytes(b"damaged")
    heard: list[str] = []
    checkpoints = Checkpoints(tmp_path, on_damaged=heard.append)
    assert loop_of(small_net(), checkpoints=checkpoints).run() == uninterrupted[1]
    assert len(heard) == 1
    assert equal(final(tmp_path), uninterrupted[0])


def test_watchers_hear_of_every_step_and_health_check() -> None:
    steps: list[tuple[int, int]] = []
    points: list[HealthPoint] = []
    watcher = Watcher(progress=lambda done, total, loss: steps.append((done, total)), health=points.append)
    curve = loop_of(small_net(), watcher=watcher, config=replace(CONFIG, steps=7)).run()
    assert steps == [(n, 7) for n in range(1, 8)]
    assert points == curve
    assert [point.step for point in curve] == [3, 6, 7]


def test_unused_parameters_are_left_alone() -> None:
    """No weight decay, no momentum: an optimizer that touched them would move them."""
    module = small_net()
    module.unused = nn.Linear(3, 3)
    before = state(module.unused)
    loop_of(module).run()
    assert equal(state(module.unused), before)


def test_gradients_are_clipped_before_the_step() -> None:
    module = small_net()
    norms: list[float] = []

    def step(batch: Batch) -> Tensor:
        if batch.step:
            norms.append(math.sqrt(sum(float((g**2).sum()) for g in gradients)))
        total = task_loss(module(batch.inputs), batch.targets) * 1e4
        total.backward()
        gradients[:] = [p.grad for p in module.parameters() if p.grad is not None]
        return total.detach()

    gradients: list[Tensor] = []
    loop_of(module, step=step, config=replace(CONFIG, clip_norm=0.5)).run()
    assert norms == pytest.approx([0.5] * 11, rel=1e-4)


def test_a_model_without_trainable_parameters_is_refused() -> None:
    module = small_net()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(TrainingError, match="no parameter that can be trained"):
        loop_of(module).run()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch", 0),
        ("checkpoint_every", 0),
        ("health_every", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("clip_norm", -1.0),
        ("weight_decay", -0.1),
        ("warmup", 1.5),
    ],
)
def test_impossible_settings_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(TrainingError, match=field):
        LoopConfig(**{"steps": 1, field: value})  # type: ignore[arg-type]
