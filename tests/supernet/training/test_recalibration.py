"""Recalibrated statistics against ones computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from supernet.errors import TrainingError
from supernet.training.recalibration import keeps_statistics, recalibrate


def batches(count: int = 3, *shape: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(8, *(shape or (4,)), generator=generator) * (n + 1) + n for n in range(count)]


def test_batch_statistics_are_the_average_over_the_batches() -> None:
    norm = nn.BatchNorm1d(4)
    norm(torch.full((2, 4), 100.0))  # statistics that must not survive
    data = batches()
    recalibrate(norm, data)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, torch.stack([batch.mean(0) for batch in data]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([batch.var(0) for batch in data]).mean(0))


def test_instance_statistics_are_the_average_over_the_batches() -> None:
    norm = nn.InstanceNorm1d(4, track_running_stats=True)
    data = batches(3, 4, 10)
    recalibrate(norm, data)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, torch.stack([b.mean((0, 2)) for b in data]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([b.var(2).mean(0) for b in data]).mean(0))


def test_a_layer_that_is_called_twice_averages_both_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x) + self.norm(x + 10)

    module = Twice()
    data = batches()
    recalibrate(module, data)
    seen = [part.mean(0) for batch in data for part in (batch, batch + 10)]
    assert module.norm.running_mean is not None
    torch.testing.assert_close(module.norm.running_mean, torch.stack(seen).mean(0))


def test_dropout_is_off_while_statistics_are_gathered() -> None:
    module = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)).train()
    data = batches()
    recalibrate(module, data)
    norm = module[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, torch.stack([batch.mean(0) for batch in data]).mean(0))


def test_modes_and_momenta_are_restored_also_after_an_error() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) == 1:
                raise RuntimeError("one sample")
            return x

    frozen = nn.BatchNorm1d(4, momentum=0.25).eval()
    module = nn.Sequential(Failing(), nn.Dropout(0.5), frozen, nn.BatchNorm1d(4, momentum=None))
    before = [(child.training, getattr(child, "momentum", "none")) for child in module.modules()]
    recalibrate(module, batches())
    assert [(child.training, getattr(child, "momentum", "none")) for child in module.modules()] == before
    with pytest.raises(RuntimeError, match="one sample"):
        recalibrate(module, [torch.zeros(1, 4)])
    assert [(child.training, getattr(child, "momentum", "none")) for child in module.modules()] == before
    assert not frozen._forward_pre_hooks


def test_nothing_else_changes() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    recalibrate(module, batches())
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None


def test_no_batches_are_refused() -> None:
    with pytest.raises(TrainingError, match="at least one"):
        recalibrate(nn.BatchNorm1d(4), [])


def test_a_module_without_statistics_is_left_alone() -> None:
    module = nn.Sequential(nn.LayerNorm(4), nn.BatchNorm1d(4, track_running_stats=False))
    assert not keeps_statistics(module)
    assert keeps_statistics(nn.Sequential(module, nn.BatchNorm1d(4)))
    recalibrate(module, [])
