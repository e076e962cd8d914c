"""Depthwise convolution against its sum, tap by tap."""

from __future__ import annotations

import pytest
import torch

from supernet.mixers import reference
from supernet.mixers.convolution import DepthwiseConvolution
from tests.supernet.mixers.compare import assert_same_function, randomised


@pytest.mark.parametrize(("width", "grid"), [(4, 4), (3, 5), (7, 1), (1, 2)])
def test_it_is_the_sum_over_the_neighbourhood(width: int, grid: int) -> None:
    assert_same_function(
        DepthwiseConvolution(width, grid=grid), reference.depthwise_convolution, (2, grid * grid, width)
    )


def test_a_token_reaches_its_neighbours_and_the_edge_does_not_wrap() -> None:
    module = randomised(DepthwiseConvolution(2, grid=4))
    x = torch.zeros(1, 16, 2, dtype=torch.float64)
    before = module(x)
    x[0, 0] = 1.0
    changed = (module(x) != before).any(-1).reshape(4, 4)
    inside = torch.zeros(4, 4, dtype=torch.bool)
    inside[:2, :2] = True
    assert torch.equal(changed, inside)
