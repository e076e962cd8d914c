"""The gated short convolution: against its sum over taps, its step, and what it costs."""

from __future__ import annotations

import pytest
import torch

from predictors.costs import cost
from supernet.mixers import reference
from supernet.mixers.short_convolution import ShortConvolution
from tests.supernet.mixers.compare import assert_same_function
from tests.supernet.mixers.sequences import assert_decoding_equals_the_parallel_form, reached

SIZES = [(6, 3, 9), (5, 1, 4), (3, 5, 2), (1, 3, 1)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("width", "taps", "tokens"), SIZES)
def test_it_is_a_gate_times_the_sum_over_taps(width: int, taps: int, tokens: int, causal: bool) -> None:
    module = ShortConvolution(width, taps=taps, causal=causal)
    assert_same_function(module, reference.short_convolution, (2, tokens, width))


@pytest.mark.parametrize(("width", "taps", "tokens"), [*SIZES, (4, 2, 7)])
def test_decoding_equals_the_parallel_form(width: int, taps: int, tokens: int) -> None:
    assert_decoding_equals_the_parallel_form(ShortConvolution(width, taps=taps), 3, tokens, width)


def test_how_far_a_token_reaches() -> None:
    assert reached(ShortConvolution(4), 12, 4, 5) == [5, 6, 7]
    assert reached(ShortConvolution(4, causal=False), 12, 4, 5) == [4, 5, 6]


def test_its_cost_and_state() -> None:
    module = ShortConvolution(5, taps=4)
    assert cost(module, torch.zeros(2, 9, 5)).macs == 2 * 9 * (2 * 5 * 5 + 4 * 5)
    assert [part.shape for part in module.start(2, 100)] == [(2, 5, 3)]


def test_taps_without_a_middle_look_one_way_only() -> None:
    with pytest.raises(ValueError, match="4 taps have no middle; use an odd number"):
        ShortConvolution(5, taps=4, causal=False)


def test_one_that_looks_both_ways_does_not_decode() -> None:
    with pytest.raises(ValueError, match="bidirectional mixer"):
        ShortConvolution(4, causal=False).start(1, 1)
