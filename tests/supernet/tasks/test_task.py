"""Scoring, and what every task has."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from supernet.tasks import task as tasks
from supernet.tasks.task import UNLABELLED, Split, Task, labelled, loss, predict, score_logits


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


def test_positions_without_a_target_do_not_count() -> None:
    logits = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [5.0, 0.0]], [[0.0, 1.0], [3.0, 0.0], [0.0, 4.0]]])
    targets = torch.tensor([[0, UNLABELLED, 1], [UNLABELLED, 0, UNLABELLED]])
    kept = logits[[0, 0, 1], [0, 2, 1]], torch.tensor([0, 1, 0])
    for found, expected in zip(labelled(logits, targets), kept, strict=True):
        assert torch.equal(found, expected)
    assert score_logits(logits, targets) == score_logits(*kept)
    assert score_logits(logits, targets)["error"] == pytest.approx(1 / 3)
    assert float(loss(logits, targets)) == pytest.approx(float(loss(*kept)))


def test_a_network_reads_prepared_inputs_and_the_checksum_those_that_are_kept() -> None:
    kept = torch.arange(6, dtype=torch.uint8).reshape(3, 2)
    split = Split(kept, torch.arange(3), prepare=lambda rows: rows.float() / 2)
    inputs, targets = split.read(torch.tensor([2, 0]))
    assert inputs.tolist() == [[2.0, 2.5], [0.0, 0.5]]
    assert targets.tolist() == [2, 0]
    assert torch.equal(predict(nn.Identity(), split), kept.float() / 2)
    stored = replace(task(), train=split)
    assert torch.equal(stored.example(1), torch.tensor([[0.0, 0.5]]))
    assert stored.checksum() == replace(task(), train=Split(kept, torch.arange(3))).checksum()


def test_predictions_do_not_depend_on_the_batch_and_keep_every_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = nn.Dropout(0.5).eval()
    module = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), frozen)
    modes = [child.training for child in module.modules()]
    inputs = task().train.inputs
    expected = module[0](inputs).detach()
    for values in (1, 4, 10, 1024):
        monkeypatch.setattr(tasks, "VALUES_AT_ONCE", values)
        actual = predict(module, inputs)
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
    task().score(module, task().validation)
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
