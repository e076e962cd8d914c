"""Depthwise convolution of padded sequences against its sum, token by token."""

from __future__ import annotations

import pytest
import torch

from supernet.mixers import reference
from supernet.mixers.padded_convolution import PaddedConvolution
from tests.supernet.mixers.compare import randomised
from tests.supernet.mixers.padding import (
    assert_padding_does_not_matter,
    assert_rounding_ignores_padding,
    assert_same_under_padding,
)


@pytest.mark.parametrize(("width", "tokens"), [(4, 9), (3, 2), (1, 1)])
def test_it_is_the_sum_over_the_neighbours(width: int, tokens: int) -> None:
    assert_same_under_padding(PaddedConvolution(width), reference.padded_convolution, tokens, width)


def test_more_padding_changes_nothing() -> None:
    assert_padding_does_not_matter(PaddedConvolution(3), 6, 3)


def test_padding_makes_the_steps_of_rounded_inputs_no_coarser() -> None:
    assert_rounding_ignores_padding(PaddedConvolution(3), 6, 3)


def test_padding_counts_as_zero_whatever_stands_there() -> None:
    module = randomised(PaddedConvolution(2))
    real = torch.tensor([[True, True, False]])
    x = torch.ones(1, 3, 2).double()
    other = x.clone()
    other[0, 2] = 7.0
    assert torch.equal(module(x, real), module(other, real))
