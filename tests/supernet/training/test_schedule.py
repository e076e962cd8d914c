"""What each step of the loop sees: its learning rate, its batch, its seeds."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from supernet.training.loop import LoopConfig, batch_of, derive_seed
from supernet.training.optimizer import learning_rate
from tests.supernet.training.small import small_task


def test_the_learning_rate_is_a_warm_up_and_half_a_cosine() -> None:
    config = LoopConfig(steps=100, warmup=0.1, learning_rate=2.0)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(2.0)
    assert rates[55] == pytest.approx(1.0)  # half-way down
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[10:] == pytest.approx([1 + math.cos(math.pi * n / 90) for n in range(90)])
    assert 0 < rates[-1] < 0.01


@given(steps=st.integers(1, 300), warmup=st.floats(0, 1))
def test_the_learning_rate_is_positive_and_never_above_its_peak(steps: int, warmup: float) -> None:
    config = LoopConfig(steps=steps, warmup=warmup, learning_rate=0.5)
    rates = [learning_rate(step, config) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates)
    assert max(rates) == 0.5


@settings(deadline=None, max_examples=30)
@given(batch=st.integers(1, 50), seed=st.integers(0, 2**31))
def test_each_epoch_is_a_permutation_of_training_samples(batch: int, seed: int) -> None:
    task = small_task()
    config = LoopConfig(steps=1, batch=batch, seed=seed)
    size = min(batch, 40)
    steps = 40 // size
    epochs = []
    for epoch in range(2):
        chosen = [batch_of(task, epoch * steps + step, config) for step in range(steps)]
        inputs, targets = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        rows = (inputs[:, 0] * 100).round().long()
        assert len(set(rows.tolist())) == len(rows) == steps * size
        # Feature 0 of a validation or test sample would be 100 or more.
        assert set(rows.tolist()) <= set(range(40))
        assert torch.equal(targets, task.train.targets[rows])
        epochs.append(rows.tolist())
    if len(epochs[0]) > 10:
        assert epochs[0] != epochs[1]


def test_batches_are_deterministic_and_augmented_anew() -> None:
    task = small_task()
    config = LoopConfig(steps=1, batch=40)
    first, again = batch_of(task, 0, config)[0], batch_of(task, 0, config)[0]
    assert torch.equal(first, again)
    later = batch_of(task, 1, config)[0]
    by_row = [inputs[inputs[:, 0].argsort()] for inputs in (first, later, task.train.inputs)]
    assert not torch.equal(by_row[0], by_row[1])
    assert not torch.equal(by_row[0], by_row[2])
    assert torch.equal(by_row[0][:, 0], by_row[1][:, 0])


def test_seeds_do_not_collide() -> None:
    uses = [(seed, use, step) for seed in range(5) for use in ("step", "augment", "epoch") for step in range(200)]
    seeds = {derive_seed(*use) for use in uses}
    assert len(seeds) == len(uses)  # by chance alone with probability 1 - 3000^2 / 2^64
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "step", 0) == 3_788_477_821_895_462_641, "resuming older checkpoints depends on it"
