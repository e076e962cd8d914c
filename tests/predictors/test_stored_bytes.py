"""What a module with quantized maps counts as: stored bytes, and the work of the plain module."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from predictors import cost, model_size
from supernet.compression import Policy, apply


@pytest.mark.parametrize(("bits", "weight_bytes"), [(4, 5 * 2 * 20), (8, 5 * 40 + 5 * 4), (32, 5 * 40 * 4)])
def test_a_quantized_map_counts_what_is_stored(bits: int, weight_bytes: int) -> None:
    module = apply(nn.Sequential(nn.Linear(40, 5), nn.LayerNorm(5)), Policy(bits={"0": bits}))
    found = cost(module, torch.zeros(3, 40))
    assert found.model_bytes == weight_bytes + (5 + 5 + 5) * 4
    assert found.parameters == 40 * 5 + 15
    assert found.macs == 3 * 40 * 5
    assert (
        found.peak_activation_bytes
        == cost(nn.Sequential(nn.Linear(40, 5), nn.LayerNorm(5)), torch.zeros(3, 40)).peak_activation_bytes
    )
    assert model_size(module).model_bytes == found.model_bytes


def test_a_weight_that_is_also_used_in_full_precision_is_stored_twice() -> None:
    module = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    module[1].weight = module[0].weight
    assert model_size(module).model_bytes == 8 * 8 * 4
    apply(module, Policy(bits={"1": 8}))
    assert model_size(module).model_bytes == 8 * 8 * 4 + 8 * 8 + 8 * 4
    assert model_size(module).parameters == 8 * 8
