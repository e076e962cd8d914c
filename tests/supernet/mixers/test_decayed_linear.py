"""Linear attention with decay: against its sum, its recurrence, and what it costs."""

from __future__ import annotations

import pytest
import torch

from predictors.costs import cost
from supernet.mixers import decayed_linear, reference
from supernet.mixers.decayed_linear import DecayedLinearAttention
from tests.supernet.mixers.compare import assert_same_function, randomised
from tests.supernet.mixers.sequences import assert_decoding_equals_the_parallel_form, reached

SIZES = [(6, 2, 4, 9), (5, 3, 2, 1), (4, 2, 3, 8), (3, 1, 2, 25)]


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small tests see several chunks."""
    monkeypatch.setattr(decayed_linear, "CHUNK", 8)


def made(width: int, heads: int, head_width: int, *, causal: bool = True) -> DecayedLinearAttention:
    return DecayedLinearAttention(width, heads=heads, head_width=head_width, causal=causal)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("width", "heads", "head_width", "tokens"), SIZES)
def test_it_is_the_decayed_sum(width: int, heads: int, head_width: int, tokens: int, causal: bool) -> None:
    module = made(width, heads, head_width, causal=causal)
    assert_same_function(module, reference.decayed_linear_attention, (2, tokens, width))


@pytest.mark.parametrize(("width", "heads", "head_width", "tokens"), SIZES)
def test_decoding_equals_the_parallel_form(width: int, heads: int, head_width: int, tokens: int) -> None:
    assert_decoding_equals_the_parallel_form(made(width, heads, head_width), 3, tokens, width)


def test_a_token_reaches_later_ones_only_unless_both_ways() -> None:
    assert reached(made(4, 2, 2), 20, 4, 5) == list(range(5, 20))
    assert reached(made(4, 2, 2, causal=False), 20, 4, 5) == list(range(20))


def test_far_tokens_of_a_long_sequence_stay_finite_in_single_precision() -> None:
    out = randomised(made(4, 2, 2)).float()(torch.randn(1, 5000, 4, generator=torch.Generator().manual_seed(0)))
    assert out.isfinite().all()


def test_the_decay_of_a_head_does_not_depend_on_how_many_there_are() -> None:
    many, few = (decayed_linear.log_decays(heads, torch.zeros((), dtype=torch.float64)) for heads in (6, 2))
    assert torch.equal(many[:2], few)
    torch.testing.assert_close(few.exp(), torch.tensor([31 / 32, 63 / 64], dtype=torch.float64))


def test_heads_of_fewer_are_the_leading_rows_of_more() -> None:
    large, small = randomised(made(6, 3, 2)), made(6, 2, 2).double()
    with torch.no_grad():
        for name, parameter in small.named_parameters():
            parameter.copy_(large.get_parameter(name)[tuple(slice(n) for n in parameter.shape)])
        large.output.weight[:, 4:] = 0
        x = torch.randn(2, 11, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        torch.testing.assert_close(large(x), small(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tokens", [1, 5, 8])
def test_few_tokens_cost_every_pair(tokens: int) -> None:
    found = cost(made(7, 3, 4), torch.zeros(2, tokens, 7)).macs
    assert found == 2 * tokens * 5 * 7 * 12 + 2 * 3 * 2 * tokens * tokens * 4


@pytest.mark.parametrize(("causal", "ways"), [(True, 1), (False, 2)])
@pytest.mark.parametrize(("tokens", "chunks"), [(9, 2), (24, 3), (100, 13)])
def test_many_tokens_cost_chunks(tokens: int, chunks: int, causal: bool, ways: int) -> None:
    found = cost(made(7, 3, 4, causal=causal), torch.zeros(2, tokens, 7)).macs
    inside = 2 * chunks * 8 * 8 * 4
    between = 2 * chunks * 8 * 4 * 4 + chunks * chunks * 4 * 4  # into and out of the sums, and the sums
    assert found == 2 * tokens * 5 * 7 * 12 + 2 * 3 * (inside + ways * between)


def test_its_state_does_not_grow() -> None:
    for tokens in (1, 1000):
        assert [part.shape for part in made(7, 3, 4).start(2, tokens)] == [(2, 3, 4, 4)]


def test_one_that_looks_both_ways_does_not_decode() -> None:
    with pytest.raises(ValueError, match="bidirectional mixer"):
        made(4, 2, 2, causal=False).start(1, 1)
