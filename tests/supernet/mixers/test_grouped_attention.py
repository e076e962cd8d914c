"""Grouped attention: against its slow definition, what it costs, what it remembers, what it shares."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from predictors.costs import cost
from supernet.mixers import reference
from supernet.mixers.grouped_attention import GroupedAttention
from tests.supernet.mixers.compare import assert_same_function, randomised
from tests.supernet.mixers.sequences import assert_decoding_equals_the_parallel_form, reached, token_by_token

# width, heads, K heads, V heads, head width, spans, tokens
SIZES: list[tuple[int, int, int, int, int, tuple[int | None, ...], int]] = [
    (8, 4, 2, 4, 4, (None,), 9),
    (7, 4, 1, 2, 2, (3, None), 13),
    (5, 6, 3, 2, 2, (4, 2), 11),
    (5, 3, 3, 1, 4, (2, 5), 17),
    (3, 1, 1, 1, 2, (None, 2), 1),
    (6, 2, 2, 1, 2, (2, None), 10),
    (4, 2, 1, 1, 2, (7, 7), 7),
]


def made(width: int, heads: int, k: int, v: int, head_width: int, spans: Any, **options: Any) -> GroupedAttention:
    return GroupedAttention(
        width, heads=heads, key_heads=k, value_heads=v, head_width=head_width, spans=spans, **options
    )


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("width", "heads", "k", "v", "head_width", "spans", "tokens"), SIZES)
def test_it_is_attention_head_by_head(
    width: int, heads: int, k: int, v: int, head_width: int, spans: Any, tokens: int, causal: bool
) -> None:
    module = made(width, heads, k, v, head_width, spans, causal=causal)
    assert_same_function(module, reference.grouped_attention, (2, tokens, width))


def test_it_can_do_without_positions() -> None:
    module = made(5, 2, 1, 2, 3, (None,), rotary=False)  # and then with an odd head width
    assert_same_function(module, reference.grouped_attention, (2, 6, 5))


@pytest.mark.parametrize(("width", "heads", "k", "v", "head_width", "spans", "tokens"), SIZES)
def test_decoding_equals_the_parallel_form(
    width: int, heads: int, k: int, v: int, head_width: int, spans: Any, tokens: int
) -> None:
    assert_decoding_equals_the_parallel_form(made(width, heads, k, v, head_width, spans), 3, tokens, width)


def test_past_its_room_it_forgets_the_oldest() -> None:
    full, sliding = (randomised(made(4, 2, 2, 1, 2, spans)) for spans in ((None,), (4,)))
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(token_by_token(full, x, 3), sliding(x), rtol=1e-10, atol=1e-10)


def test_sequences_of_one_batch_may_be_at_different_positions() -> None:
    module = randomised(made(4, 2, 1, 2, 2, (3, None)))
    x = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    states = {}
    state = module.start(1, 5)
    for t in range(6):
        states[t] = state
        _, state = module.step(x[:, t], torch.tensor([t]), state)
    together = tuple(torch.cat(pair) for pair in zip(states[5], states[2], strict=True))
    out, _ = module.step(torch.cat([x[:, 5], x[:, 2]]), torch.tensor([5, 2]), together)
    torch.testing.assert_close(out, module(x)[0, [5, 2]], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("spans", "causal", "expected"),
    [
        ((None,), True, range(4, 20)),
        ((3,), True, range(4, 7)),
        ((3, 5), True, range(4, 9)),
        ((3,), False, range(2, 7)),
        ((None,), False, range(20)),
    ],
)
def test_how_far_a_token_reaches(spans: Any, causal: bool, expected: range) -> None:
    assert reached(made(4, 2, 1, 2, 2, spans, causal=causal), 20, 4, 4) == list(expected)


# Costs


def projections(width: int, heads: int, k: int, v: int, head_width: int) -> int:
    return width * head_width * (2 * heads + k + v)


@pytest.mark.parametrize("tokens", [1, 9, 30])
def test_full_attention_costs_every_pair(tokens: int) -> None:
    found = cost(made(7, 4, 1, 2, 6, (None,)), torch.zeros(2, tokens, 7)).macs
    assert found == 2 * tokens * projections(7, 4, 1, 2, 6) + 2 * 2 * 4 * tokens * tokens * 6


@pytest.mark.parametrize(("causal", "blocks"), [(True, 2), (False, 3)])
@pytest.mark.parametrize("tokens", [13, 16, 40])
def test_a_span_costs_tokens_times_blocks_of_it(tokens: int, causal: bool, blocks: int) -> None:
    found = cost(made(7, 4, 1, 2, 6, (4,), causal=causal), torch.zeros(2, tokens, 7)).macs
    padded = -(-tokens // 4) * 4
    assert found == 2 * tokens * projections(7, 4, 1, 2, 6) + 2 * 2 * 4 * padded * (blocks * 4) * 6


def test_a_group_of_heads_with_a_short_span_costs_less_and_the_other_group_the_same() -> None:
    found = cost(made(7, 4, 1, 2, 6, (4, None)), torch.zeros(1, 40, 7)).macs
    assert found == 40 * projections(7, 4, 1, 2, 6) + 2 * 2 * 6 * 40 * (8 + 40)


@pytest.mark.parametrize("tokens", [3, 30])
def test_a_step_costs_what_is_remembered(tokens: int) -> None:
    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = made(7, 4, 1, 2, 6, (8, None))

        def forward(self, x: torch.Tensor, position: torch.Tensor, *state: torch.Tensor) -> torch.Tensor:
            return self.mixer.step(x, position, state)[0]

    module = Step()
    found = cost(module, (torch.zeros(2, 7), torch.full((2,), 3), *module.mixer.start(2, tokens))).macs
    seen = min(tokens + 1, 8) + tokens + 1  # by a head of each group
    assert found == 2 * (projections(7, 4, 1, 2, 6) + 2 * 2 * 6 * seen)


@pytest.mark.parametrize(
    ("heads", "k", "v", "spans", "remembered"),
    [
        (4, 2, 4, (None,), 6 * 20),
        (4, 2, 4, (8,), 6 * 7),
        (4, 2, 4, (8, None), (1 + 2) * (7 + 20)),  # even heads 7 tokens, odd ones 20
        (4, 1, 2, (8, None), 20 + (7 + 20)),  # the one K head serves both groups
        (3, 3, 1, (8, 5), 2 * 7 + 4 + 7),
        (1, 1, 1, (8, None), 2 * 7),
        (2, 2, 2, (90, None), 4 * 20),  # a span beyond the room
    ],
)
def test_its_state_is_as_large_as_spans_and_heads_say(heads: int, k: int, v: int, spans: Any, remembered: int) -> None:
    state = made(8, heads, k, v, 6, spans).start(3, 20)
    assert sum(part.numel() for part in state) == 3 * 6 * remembered


# Sharing


def test_heads_of_fewer_are_the_leading_rows_of_more_and_keep_what_they_read() -> None:
    """With the output projection cut open, the first heads compute the same in a smaller module."""
    large = randomised(made(6, 4, 2, 2, 2, (3, None)))
    small = made(6, 2, 2, 2, 2, (3, None)).double()
    with torch.no_grad():
        for name, parameter in small.named_parameters():
            parameter.copy_(large.get_parameter(name)[tuple(slice(n) for n in parameter.shape)])
        large.output.weight[:, 4:] = 0  # what the heads that are gone would add
        x = torch.randn(2, 11, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        torch.testing.assert_close(large(x), small(x), rtol=1e-12, atol=1e-12)


def test_names_do_not_depend_on_spans_and_heads() -> None:
    names = {
        tuple(dict(made(6, *rest).named_parameters())) for rest in ((4, 1, 2, 2, (3, None)), (2, 2, 2, 4, (None,)))
    }
    assert len(names) == 1


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 3}, "3 K heads do not divide 4 query heads; use a divisor"),
        ({"head_width": 3}, "even head width"),
        ({"spans": (1,)}, "span of 1 tokens"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, message: str) -> None:
    usual: dict[str, Any] = {"width": 6, "heads": 4, "k": 2, "v": 2, "head_width": 2, "spans": (None,)}
    with pytest.raises(ValueError, match=message):
        made(**{**usual, **options})


def test_a_bidirectional_one_does_not_decode() -> None:
    with pytest.raises(ValueError, match="bidirectional mixer reads later tokens"):
        made(6, 2, 2, 2, 2, (None,), causal=False).start(1, 4)


def test_a_state_needs_room() -> None:
    with pytest.raises(ValueError, match="room for at least 1 earlier token, got 0"):
        made(6, 2, 2, 2, 2, (None,)).start(1, 0)
