"""Rank correlations against their definitions."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.ranking import rank_agreement


def naive_kendall(first: list[int], second: list[int]) -> float:
    """tau-b: concordant minus discordant pairs, over the geometric mean of the pairs without ties."""
    score = first_pairs = second_pairs = 0
    for (a, b), (c, d) in itertools.combinations(zip(first, second, strict=True), 2):
        x, y = (a > c) - (a < c), (b > d) - (b < d)
        score, first_pairs, second_pairs = score + x * y, first_pairs + abs(x), second_pairs + abs(y)
    return score / math.sqrt(first_pairs * second_pairs)


def naive_spearman(first: list[int], second: list[int]) -> float:
    def ranks(values: list[int]) -> list[float]:
        return [
            sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2
            for value in values
        ]

    x, y = ranks(first), ranks(second)
    mean = (len(x) - 1) / 2
    product = sum((a - mean) * (b - mean) for a, b in zip(x, y, strict=True))
    return product / math.sqrt(sum((a - mean) ** 2 for a in x) * sum((b - mean) ** 2 for b in y))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=12))
def test_both_equal_their_definitions(pairs: list[tuple[int, int]]) -> None:
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    found = rank_agreement(first, second)
    assert found.count == len(pairs)
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert math.isnan(found.kendall)
        assert math.isnan(found.spearman)
    else:
        assert found.kendall == pytest.approx(naive_kendall(first, second), abs=1e-12)
        assert found.spearman == pytest.approx(naive_spearman(first, second), abs=1e-12)


def test_only_ranks_matter() -> None:
    values = [0.1, 5.0, 2.0, 3.0]
    found = rank_agreement(values, [math.exp(value) for value in values])
    assert (found.kendall, found.spearman) == pytest.approx((1, 1))
    assert rank_agreement(values, [-value for value in values]).kendall == pytest.approx(-1)


@pytest.mark.parametrize("length", [0, 1])
def test_too_short_lists_have_none(length: int) -> None:
    assert math.isnan(rank_agreement([1.0] * length, [2.0] * length).kendall)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 and 3 values"):
        rank_agreement([1, 2], [1, 2, 3])
