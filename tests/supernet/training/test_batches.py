"""Parts of a batch: their sizes and shares, and that accumulated gradients are those of the whole batch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from supernet.tasks.task import UNLABELLED, Split, Task
from supernet.tasks.task import loss as task_loss
from supernet.training.batches import Batch, divided
from supernet.training.loop import Loop, LoopConfig
from tests.supernet.training.small import CLASSES, FEATURES, small_net, small_task

CONFIG = LoopConfig(steps=1, batch=11, clip_norm=1e6)


@given(rows=st.integers(1, 12), parts=st.integers(1, 15), positions=st.integers(1, 3), data=st.data())
def test_the_parts_are_the_batch_in_order_and_share_its_labels(
    rows: int, parts: int, positions: int, data: st.DataObject
) -> None:
    known = data.draw(st.lists(st.booleans(), min_size=rows * positions, max_size=rows * positions))
    targets = torch.tensor([1 if one else UNLABELLED for one in known]).reshape(rows, positions)
    inputs = torch.arange(rows)
    found = list(divided(7, inputs, targets, parts))
    if not any(known) or parts == 1:
        assert [(batch.share, len(batch.inputs)) for batch in found] == [(1.0, rows)]
        return
    assert len(found) <= min(rows, parts)
    assert math.isclose(sum(batch.share for batch in found), 1)
    for batch in found:
        size = len(batch.inputs)
        assert batch.step == 7
        assert size in (rows // min(rows, parts), rows // min(rows, parts) + 1)
        assert torch.equal(batch.inputs, inputs[batch.start : batch.start + size])
        assert torch.equal(batch.targets, targets[batch.start : batch.start + size])
        assert batch.share == int((batch.targets != UNLABELLED).sum()) / sum(known) > 0


@given(
    rows=st.integers(1, 12),
    parts=st.integers(1, 5),
    ranks=st.integers(2, 5),
    data=st.data(),
)
def test_ranks_share_the_batch_without_gap_or_overlap(rows: int, parts: int, ranks: int, data: st.DataObject) -> None:
    known = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows).filter(any))
    targets = torch.tensor([1 if one else UNLABELLED for one in known])
    inputs = torch.arange(rows)
    found = [list(divided(0, inputs, targets, parts, rank=rank, ranks=ranks)) for rank in range(ranks)]
    batches = [batch for own in found for batch in own]
    assert all(len(own) <= parts for own in found)
    assert math.isclose(sum(batch.share for batch in batches), 1)
    seen = [row for batch in batches for row in batch.inputs.tolist()]
    assert seen == sorted(set(seen))
    assert {row for row in range(rows) if known[row]} <= set(seen)
    assert all(batch.inputs.tolist()[0] == batch.start for batch in batches)
    sizes = [sum(len(batch.inputs) for batch in own) for own in found]
    if all(known):
        assert max(sizes) - min(sizes) <= 1


def gradients(module: nn.Module, task: Task, config: LoopConfig) -> tuple[list[Tensor], float]:
    """After one step, and the loss that it reported."""
    losses: list[float] = []

    def step(batch: Batch) -> Tensor:
        total = task_loss(module(batch.inputs), batch.targets, config.label_smoothing)
        batch.backward(total)
        losses.append(batch.share * float(total.detach()))
        return total.detach()

    Loop(model=module, task=task, step=step, config=config).run()
    return [p.grad.clone() for p in module.parameters() if p.grad is not None], sum(losses)


def plain() -> nn.Module:
    """Without dropout and batch statistics: its rows are computed independently of each other."""
    module = small_net()
    module.dropout, module.norm = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    return module


@pytest.mark.parametrize("parts", [2, 3, 11, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_accumulated_gradients_are_those_of_the_whole_batch(parts: int, smoothing: float) -> None:
    """11 rows in 3 parts: 4, 4 and 3."""
    config = replace(CONFIG, label_smoothing=smoothing)
    whole, loss = gradients(plain(), small_task(), config)
    accumulated, accumulated_loss = gradients(plain(), small_task(), replace(config, accumulate=parts))
    for first, second in zip(accumulated, whole, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)
    assert accumulated_loss == pytest.approx(loss, rel=1e-6)


def test_positions_without_a_label_do_not_shift_the_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(11, 4, FEATURES, generator=generator)
    targets = torch.randint(CLASSES, (11, 4), generator=generator)
    targets[torch.rand(11, 4, generator=generator) < 0.7] = UNLABELLED
    targets[3:6] = UNLABELLED  # a part of nothing but these adds nothing
    split = Split(inputs, targets)
    task = Task(
        name="t", train=split, validation=split, test=split, classes=CLASSES, kind="features", per_position=True
    )
    whole, loss = linear_gradients(task, CONFIG)
    parts, parts_loss = linear_gradients(task, replace(CONFIG, accumulate=4))
    for first, second in zip(parts, whole, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)
    assert parts_loss == pytest.approx(loss, rel=1e-6)


def linear_gradients(task: Task, config: LoopConfig) -> tuple[list[Tensor], float]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        module = nn.Linear(FEATURES, CLASSES)
    return gradients(module, task, config)
