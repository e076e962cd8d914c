"""Scoring, and what every task has."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from supernet.tasks.task import Split, Task, loss, predict, score, score_logits


def task() -> Task:
    generator = torch.Generator().manual_seed(0)
    parts = [Split(torch.randn(n, 2, generator=generator), torch.arange(n) % 3) for n in (5, 4, 3)]
    return Task(name="numbers", train=parts[0], validation=parts[1], test=parts[2], classes=3)


def test_the_loss_is_the_mean_negative_log_likelihood() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    expected = 0.0
    for row, target in zip(logits.tolist(), (0, 1), strict=True):
        expected -= math.log(math.exp(row[target]) / sum(math.exp(value) for value in row))
    assert float(loss(logits, torch.tensor([0, 1]))) == pytest.approx(expected / 2, rel=1e-6)


def test_scores_are_fractions_and_ties_go_to_the_first_class() -> None:
    logits = torch.tensor([[1.0, 1.0], [0.0, 2.0], [3.0, 0.0], [1.0, 1.0]])
    scores = score_logits(logits, torch.tensor([0, 1, 1, 1]))
    assert scores["error"] == 0.5
    assert scores["accuracy"] == 0.5
    assert scores["loss"] == pytest.approx(float(loss(logits, torch.tensor([0, 1, 1, 1]))))
    assert set(scores) == set(task().metrics)


def test_predictions_do_not_depend_on_the_batch_and_keep_every_mode() -> None:
    frozen = nn.Dropout(0.5).eval()
    module = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), frozen)
    modes = [child.training for child in module.modules()]
    inputs = task().train.inputs
    expected = module[0](inputs).detach()
    for batch in (1, 2, 5, 512):
        actual = predict(module, inputs, batch)
        torch.testing.assert_close(actual, expected)
        assert not actual.requires_grad
    assert [child.training for child in module.modules()] == modes


def test_modes_are_restored_after_an_error() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no")

    module = Failing()
    with pytest.raises(RuntimeError):
        predict(module, task().train.inputs)
    assert module.training


def test_a_table_made_while_predicting_may_be_used_in_training() -> None:
    class Caching(nn.Module):
        table: Tensor | None = None

        def __init__(self) -> None:
            super().__init__()
            self.leave = nn.Linear(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            if self.table is None:
                self.table = torch.ones(3) * 2
            return self.leave(x) * self.table

    module = Caching()
    score(module, task().validation)
    module(task().train.inputs).sum().backward()
    assert module.leave.weight.grad is not None


def test_an_example_repeats_where_there_are_too_few() -> None:
    inputs = task().train.inputs
    assert task().input_shape == (2,)
    assert torch.equal(task().example(), inputs[:1])
    assert torch.equal(task().example(7), torch.cat([inputs, inputs[:2]]))


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_the_checksum_sees_every_split(part: str) -> None:
    original: Split = getattr(task(), part)
    moved = Split(original.inputs + 1e-6, original.targets)
    relabelled = Split(original.inputs, original.targets.flip(0))
    reshaped = Split(original.inputs.reshape(-1, 2, 1), original.targets)
    changed = [replace(task(), **{part: split}).checksum() for split in (original, moved, relabelled, reshaped)]
    assert changed[0] == task().checksum()
    assert len(set(changed)) == 4
