"""Full attention in padded sequences against attention without their padding."""

from __future__ import annotations

import pytest
import torch

from supernet.mixers import reference
from supernet.mixers.padded_softmax import PaddedSoftmaxAttention, cleared
from supernet.mixers.softmax import SoftmaxAttention
from tests.supernet.mixers.compare import randomised
from tests.supernet.mixers.padding import (
    assert_every_query_sees_a_key,
    assert_padding_does_not_matter,
    assert_rounding_ignores_padding,
    assert_same_under_padding,
)


@pytest.mark.parametrize(("width", "heads", "head_width", "tokens"), [(8, 2, 4, 9), (5, 3, 1, 7), (4, 1, 6, 1)])
def test_it_is_attention_without_the_padding(width: int, heads: int, head_width: int, tokens: int) -> None:
    module = PaddedSoftmaxAttention(width, heads=heads, head_width=head_width)
    assert_same_under_padding(module, reference.padded_softmax_attention, tokens, width)


def test_more_padding_changes_nothing() -> None:
    assert_padding_does_not_matter(PaddedSoftmaxAttention(6, heads=2, head_width=3), 7, 6)


def test_padding_makes_the_steps_of_rounded_inputs_no_coarser() -> None:
    assert_rounding_ignores_padding(PaddedSoftmaxAttention(6, heads=2, head_width=3), 7, 6)


def test_every_query_sees_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_every_query_sees_a_key(PaddedSoftmaxAttention(6, heads=2, head_width=3), 7, 6, monkeypatch)


def test_without_padding_it_is_full_attention() -> None:
    full = randomised(SoftmaxAttention(6, heads=2, head_width=3))
    padded = PaddedSoftmaxAttention(6, heads=2, head_width=3).double()
    padded.load_state_dict(full.state_dict())
    x = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(padded(x, torch.ones(3, 5, dtype=torch.bool)), full(x), rtol=1e-12, atol=1e-12)


def test_cleared_is_zero_in_place_of_padding_and_nowhere_else() -> None:
    x = torch.tensor([[[1.0, 2.0], [torch.inf, torch.nan]]])
    assert cleared(x, torch.tensor([[True, False]])).tolist() == [[[1.0, 2.0], [0.0, 0.0]]]
