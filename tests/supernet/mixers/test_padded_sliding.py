"""Sliding attention against attention under a mask, and what it saves."""

from __future__ import annotations

import math

import pytest
import torch

from predictors.costs import cost
from supernet.mixers import reference
from supernet.mixers.padded_sliding import PaddedSlidingAttention
from supernet.mixers.padded_softmax import PaddedSoftmaxAttention
from tests.supernet.mixers.compare import randomised
from tests.supernet.mixers.padding import (
    Padded,
    assert_every_query_sees_a_key,
    assert_padding_does_not_matter,
    assert_rounding_ignores_padding,
    assert_same_under_padding,
)

# tokens and window: in whole blocks, in blocks of which the last is not full, and where all pairs are computed
SIZES = [(16, 2), (17, 2), (19, 3), (7, 1), (8, 3), (5, 9), (1, 1)]


@pytest.mark.parametrize(("tokens", "window"), SIZES)
def test_it_is_attention_to_the_tokens_near_by(tokens: int, window: int) -> None:
    module = PaddedSlidingAttention(6, heads=2, head_width=3, window=window)
    assert_same_under_padding(module, reference.padded_sliding_attention, tokens, 6)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_more_padding_changes_nothing(window: int) -> None:
    assert_padding_does_not_matter(PaddedSlidingAttention(6, heads=2, head_width=3, window=window), 9, 6)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_padding_makes_the_steps_of_rounded_inputs_no_coarser(window: int) -> None:
    assert_rounding_ignores_padding(PaddedSlidingAttention(6, heads=2, head_width=3, window=window), 9, 6)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_every_query_sees_a_key(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_every_query_sees_a_key(PaddedSlidingAttention(6, heads=2, head_width=3, window=window), 13, 6, monkeypatch)


@pytest.mark.parametrize(("tokens", "window"), [(20, 3), (7, 3)])
def test_a_token_sees_its_window_and_nothing_else(tokens: int, window: int) -> None:
    module = randomised(PaddedSlidingAttention(4, heads=2, head_width=2, window=window))
    x = torch.randn(1, tokens, 4, generator=torch.Generator().manual_seed(0)).double()
    real = torch.ones(1, tokens, dtype=torch.bool)
    before = module(x, real)
    x[0, 4] += 1.0
    changed = (module(x, real) != before).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == list(range(max(0, 4 - window), min(tokens, 4 + window + 1)))


def test_it_has_the_parameters_of_full_attention() -> None:
    full = PaddedSoftmaxAttention(6, heads=2, head_width=3)
    PaddedSlidingAttention(6, heads=2, head_width=3, window=2).load_state_dict(full.state_dict())


@pytest.mark.parametrize(("tokens", "window"), SIZES)
def test_its_multiply_adds_grow_with_the_window(tokens: int, window: int) -> None:
    width, heads, head_width = 5, 3, 4
    module = PaddedSlidingAttention(width, heads=heads, head_width=head_width, window=window)
    real = torch.ones(2, tokens, dtype=torch.bool)
    pairs = min(tokens**2, math.ceil(tokens / window) * window * 3 * window)
    projections = 4 * tokens * width * heads * head_width
    expected = 2 * (projections + 2 * pairs * heads * head_width)
    assert cost(Padded(module, real), torch.zeros(2, tokens, width)).macs == expected
