"""Averaged weights against the formula, and who gets them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from supernet.training.averaging import Average
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import HealthPoint, LoopConfig, Stopped, Watcher
from supernet.training.retrain import retrain
from supernet.training.snapshot import restore
from tests.supernet.training.small import equal, small_net, small_task, state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

DECAY = 0.8
CONFIG = LoopConfig(steps=9, batch=8, checkpoint_every=4, health_every=3, learning_rate=0.05, seed=3, ema=DECAY)


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_average_is_the_weighted_mean_of_what_was_taken_in(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    live = {"w": torch.full((3,), 1e6), "count": torch.tensor(0)}  # what it began with leaves no trace
    average = Average(live, decay)
    seen: list[Tensor] = []
    for count in range(1, 8):
        live["w"].copy_(torch.randn(3, generator=generator))
        live["count"].fill_(count)
        seen.append(live["w"].clone())
        average.update(count)
        weights = [decay ** (count - 1 - position) for position in range(count)]
        expected = sum(weight * w for weight, w in zip(weights, seen, strict=True)) / sum(weights)
        torch.testing.assert_close(average.tensors["w"], expected)
        assert int(average.tensors["count"]) == count


def test_an_exchange_for_a_while_leaves_every_bit_as_it_was() -> None:
    module = small_net()
    before = state(module)
    live = dict(module.named_parameters())
    average = Average({name: value.detach() for name, value in live.items()}, 0.5)
    average.tensors = {name: torch.ones_like(value) for name, value in live.items()}

    def look() -> None:
        with average.in_place():
            assert all(bool((value == 1).all()) for value in live.values())
            raise KeyError

    with pytest.raises(KeyError):
        look()
    assert equal(state(module), before)


def averaged_by_hand() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Of a run without averaging: the mean of the weights after each step, and the last ones."""
    module = small_net()
    steps: list[dict[str, Tensor]] = []
    watcher = Watcher(progress=lambda done, total, loss: steps.append(state(module)))
    retrain(module, small_task(), replace(CONFIG, ema=None), watcher=watcher)
    weights = [DECAY ** (len(steps) - 1 - position) for position in range(len(steps))]
    mean = {
        name: sum(w * step[name].double() for w, step in zip(weights, steps, strict=True)) / sum(weights)
        for name, value in steps[0].items()
        if value.is_floating_point()
    }
    return {name: torch.as_tensor(value).float() for name, value in mean.items()}, steps[-1]


def test_a_run_ends_with_the_average_of_all_its_steps_and_keeps_both(tmp_path: Path) -> None:
    """Averaging does not change what is trained, only what it leaves behind."""
    module = small_net()
    retrain(module, small_task(), CONFIG, checkpoints=Checkpoints(tmp_path))
    mean, last = averaged_by_hand()
    for name, expected in mean.items():
        torch.testing.assert_close(state(module)[name], expected)
    checkpoint = Checkpoints(tmp_path).latest()
    assert checkpoint is not None
    for name, _ in module.named_parameters():
        assert torch.equal(checkpoint.tensors[f"model.{name}"], last[name])
        assert torch.equal(checkpoint.tensors[f"average.{name}"], state(module)[name])
    assert not equal(state(module), last)


def test_whoever_restores_a_checkpoint_gets_the_average(tmp_path: Path) -> None:
    module, other = small_net(), small_net(seed=1)
    retrain(module, small_task(), CONFIG, checkpoints=Checkpoints(tmp_path))
    checkpoint = Checkpoints(tmp_path).latest()
    assert checkpoint is not None
    restore(other, checkpoint.tensors, "here")
    assert equal(state(other), state(module))


def test_what_is_scored_is_the_average() -> None:
    module, task = small_net(), small_task()
    curve: list[HealthPoint] = []
    retrain(module, task, CONFIG, watcher=Watcher(health=curve.append))
    assert curve[-1].values == task.score(module, task.validation)  # what the run ended with
    plain = retrain(small_net(), task, replace(CONFIG, ema=None))
    assert curve[-1].values != plain[-1].values


@pytest.mark.parametrize("step", [2, 4, 7])
def test_a_resumed_run_restores_weights_average_and_optimizer_bit_by_bit(tmp_path: Path, step: int) -> None:
    whole, parts = Checkpoints(tmp_path / "whole"), Checkpoints(tmp_path / "parts")
    expected, resumed = small_net(), small_net(seed=9)
    curve = retrain(expected, small_task(), CONFIG, checkpoints=whole)
    done: list[int] = []
    watcher = Watcher(progress=lambda now, steps, loss: done.append(now), stop=lambda: len(done) >= step)
    with pytest.raises(Stopped):
        retrain(small_net(), small_task(), CONFIG, checkpoints=parts, watcher=watcher)
    assert retrain(resumed, small_task(), CONFIG, checkpoints=parts) == curve
    assert equal(state(resumed), state(expected))
    found, wanted = parts.latest(), whole.latest()
    assert found is not None
    assert wanted is not None
    assert equal(found.tensors, wanted.tensors)
    again = small_net(seed=9)
    retrain(again, small_task(), CONFIG, checkpoints=parts)  # finished: nothing is trained, the average is put in place
    assert equal(state(again), state(expected))
