"""Training of shared weights."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import pytest
import torch
from torch import nn

from supernet import SharedWeights
from supernet.errors import CheckpointError, NonFiniteLoss, TrainingCollapsed
from supernet.tasks.task import loss as task_loss
from supernet.training.checkpoint import Checkpoints
from supernet.training.distillation import soft_cross_entropy
from supernet.training.loop import LoopConfig, Stopped, Watcher, batch_of, derive_seed
from supernet.training.recalibration import recalibrate
from supernet.training.sampling import Sandwich
from supernet.training.supernet import RECALIBRATION_BATCHES, score_inherited, train_supernet
from tests.supernet.training.small import SmallNet, equal, small_space, small_task, state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from search_spaces import Architecture, SearchSpace
    from supernet.training.distillation import Distillation
    from supernet.training.loop import HealthPoint

SPACE = small_space()
SAMPLER = Sandwich(SPACE, random_subnets=1)
CONFIG = LoopConfig(steps=9, batch=8, checkpoint_every=4, health_every=4, learning_rate=0.03, seed=5)


def weights(seed: int = 0) -> SharedWeights:
    return SharedWeights(SmallNet, SPACE, seed=seed)


def final(folder: Path) -> dict[str, Tensor]:
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


@dataclass
class Countdown:
    """Asks to stop after so many questions."""

    left: int

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[HealthPoint]]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    curve = train_supernet(weights(), small_task(), SAMPLER, CONFIG, checkpoints=Checkpoints(folder))
    return final(folder), curve


@pytest.mark.parametrize("watcher", [Watcher(stop=Countdown(1)), Watcher(stop=Countdown(6)), crash_at(3), crash_at(8)])
def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[HealthPoint]], watcher: Watcher
) -> None:
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises((Stopped, Crash)):
        train_supernet(weights(), small_task(), SAMPLER, CONFIG, checkpoints=checkpoints, watcher=watcher)
    resumed = weights()
    curve = train_supernet(resumed, small_task(), SAMPLER, CONFIG, checkpoints=checkpoints)
    tensors, expected_curve = uninterrupted
    assert equal(final(tmp_path), tensors)
    assert curve == expected_curve
    assert all(torch.equal(value, tensors[f"model.{name}"]) for name, value in state(resumed).items())


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    random.seed(1)
    shared = weights()
    before = torch.get_rng_state(), random.getstate()
    train_supernet(shared, small_task(), SAMPLER, CONFIG)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_a_step_is_in_place_distillation_from_the_first_subnet() -> None:
    """One step against the recipe written out with extracted modules and summed gradients."""
    task, config = small_task(), replace(CONFIG, steps=1, warmup=0.0)
    shared, naive = weights(), weights()
    losses: list[float] = []
    train_supernet(shared, task, SAMPLER, config, watcher=Watcher(progress=lambda d, s, x: losses.append(x)))

    inputs, targets = batch_of(task, 0, config)
    chosen = SAMPLER.architectures(0, random.Random(derive_seed(config.seed, "subnets", 0)))
    total = {name: torch.zeros_like(value) for name, value in naive.named_parameters()}
    reported = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "step", 0))
        taught: Tensor | None = None
        for architecture in chosen:
            module = naive.extract(architecture)
            logits = module(inputs)
            value = task_loss(logits, targets) if taught is None else soft_cross_entropy(logits, taught)
            taught = logits.detach() if taught is None else taught
            value.backward()
            reported.append(value.item())
            for name, parameter in module.named_parameters():
                if parameter.grad is not None:
                    where = tuple(slice(0, size) for size in parameter.shape)
                    total[name][where] += parameter.grad
    for name, parameter in naive.named_parameters():
        parameter.grad = total[name]
    nn.utils.clip_grad_norm_(naive.parameters(), config.clip_norm)
    groups = [
        {"params": [p for p in naive.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in naive.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    torch.optim.AdamW(groups, lr=config.learning_rate, fused=True).step()
    assert losses == pytest.approx([sum(reported) / len(reported)], rel=1e-6)
    for name, value in state(naive).items():
        torch.testing.assert_close(state(shared)[name], value, rtol=1e-5, atol=1e-6)


@dataclass
class Fixed:
    """Trains the same architectures in every step."""

    divides_batch: ClassVar[bool] = False
    usual_distillation: ClassVar[Distillation] = "inplace"
    chosen: Sequence[Architecture]
    seen: list[int] = field(default_factory=list)

    def architectures(self, step: int, rng: random.Random) -> Sequence[Architecture]:
        self.seen.append(rng.getrandbits(30))
        return self.chosen

    def space_at(self, step: int) -> SearchSpace:
        return SPACE


def test_only_what_the_chosen_subnets_use_is_trained() -> None:
    shared = weights()
    before = state(shared)
    sampler = Fixed([SPACE.smallest()])
    train_supernet(shared, small_task(), sampler, CONFIG)
    after = state(shared)
    assert torch.equal(after["layers.0.weight"], before["layers.0.weight"]), "weight decay moved an unused tensor"
    assert not torch.equal(after["enter.weight"], before["enter.weight"])
    assert len(set(sampler.seen)) == CONFIG.steps, "each step has a generator of its own"


def test_training_learns_in_every_subnet() -> None:
    shared = weights()
    curve = train_supernet(shared, small_task(), SAMPLER, replace(CONFIG, steps=120, health_every=120))
    assert [set(point.values) for point in curve] == [{"smallest", "random", "largest"}]
    assert all(error <= 0.4 for error in curve[-1].values.values())  # chance is 0.67


def test_a_diverged_run_keeps_a_loadable_checkpoint(tmp_path: Path) -> None:
    task = small_task()
    poisoned = task.train.inputs.clone()
    rows = batch_of(replace(task, augment=lambda inputs, generator: inputs), 4, CONFIG)[0][:, 0]
    poisoned[int((rows[0] * 100).round()), 1] = math.nan
    broken = replace(task, train=replace(task.train, inputs=poisoned))
    with pytest.raises(TrainingCollapsed, match=r"step \d of 9 .*checkpoint is .*step-0000000[04]") as caught:
        train_supernet(weights(), broken, SAMPLER, CONFIG, checkpoints=Checkpoints(tmp_path))
    good = Checkpoints(tmp_path).latest()
    assert good is not None
    assert str(good.path) in str(caught.value)
    assert str(caught.value).count("back to step 0") == 3
    assert all(bool(tensor.isfinite().all()) for tensor in good.tensors.values())


def test_a_run_without_checkpoints_that_diverges_ends_at_once() -> None:
    task = small_task()
    broken = replace(task, train=replace(task.train, inputs=task.train.inputs * math.nan))
    with pytest.raises(NonFiniteLoss, match=r"the loss became nan at step 1 of 9 .*no checkpoint"):
        train_supernet(weights(), broken, SAMPLER, CONFIG)


def test_a_checkpoint_of_another_space_is_refused(tmp_path: Path) -> None:
    train_supernet(weights(), small_task(), SAMPLER, CONFIG, checkpoints=Checkpoints(tmp_path))
    narrow = SPACE.fix({"width": 4})
    with pytest.raises(CheckpointError, match="another model"):
        train_supernet(
            SharedWeights(SmallNet, narrow),
            small_task(),
            Sandwich(narrow),
            CONFIG,
            checkpoints=Checkpoints(tmp_path),
        )


def test_weights_in_evaluation_mode_are_trained_with_dropout_all_the_same() -> None:
    first, second = weights(), weights().eval()
    for shared in (first, second):
        train_supernet(shared, small_task(), SAMPLER, CONFIG)
    assert equal(state(first), state(second))
    assert second.training


def test_an_inherited_score_recalibrates_running_statistics() -> None:
    shared, task = weights(), small_task()
    train_supernet(shared, task, SAMPLER, CONFIG)
    architecture = SPACE.largest()
    module = shared.extract(architecture)
    recalibrate(module, [batch_of(task, step, CONFIG)[0] for step in range(RECALIBRATION_BATCHES)])
    scores = score_inherited(shared, architecture, task, CONFIG)
    assert scores == task.score(module, task.validation)
    assert scores != task.score(shared.extract(architecture), task.validation)
    assert score_inherited(shared, SPACE.smallest(), task, CONFIG) != scores
    assert score_inherited(shared, architecture, task, CONFIG) == scores
