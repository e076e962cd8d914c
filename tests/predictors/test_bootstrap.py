"""Weighted rank correlations against scipy on lists in which each value stands as often as it was drawn."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from predictors.bootstrap import Estimate, kendall, resampled, spearman

triples = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 3)), min_size=2, max_size=12)


def by_scipy(function: object, first: np.ndarray, second: np.ndarray) -> float:
    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return float(function(first, second).statistic)  # type: ignore[operator]


@given(triples)
@settings(max_examples=60, deadline=None)
def test_both_equal_scipy_on_the_values_written_out(given_: list[tuple[int, int, int]]) -> None:
    first, second, times = (np.array(column, dtype=float) for column in zip(*given_, strict=True))
    written = times.astype(int)
    for ours, theirs in ((kendall, kendalltau), (spearman, spearmanr)):
        expected = by_scipy(theirs, np.repeat(first, written), np.repeat(second, written))
        found = ours(first, second, times[None])[0]
        assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_what_is_not_known_is_left_out() -> None:
    first, second = np.array([1.0, np.nan, 2.0, 3.0, 5.0]), np.array([1.0, 9.0, 3.0, 2.0, np.nan])
    times = np.ones((1, 5))
    assert kendall(first, second, times)[0] == pytest.approx(1 / 3)
    assert spearman(first, second, times)[0] == pytest.approx(0.5)


def test_resamples_draw_as_many_as_there_are_and_begin_with_the_sample_itself() -> None:
    times = resampled(7, seed=3, resamples=50)
    assert times.shape == (51, 7)
    assert (times[0] == 1).all()
    assert (times.sum(axis=1) == 7).all()
    assert (times == resampled(7, seed=3, resamples=50)).all()
    assert (times != resampled(7, seed=4, resamples=50)).any()


def test_the_interval_holds_the_middle_of_the_resamples() -> None:
    drawn = np.concatenate([[0.4], np.linspace(0, 1, 101)])
    estimate = Estimate.of(drawn)
    assert (estimate.value, estimate.lower, estimate.upper) == pytest.approx((0.4, 0.05, 0.95))


def test_the_percentiles_cover_a_correlation_about_as_often_as_they_say() -> None:
    """Of 60 samples with a known tau, the 90 % interval should hold it in about 54; fewer than 42 has p < 1e-4."""
    rng = np.random.default_rng(5)
    truth, held = 2 / math.pi * math.asin(0.8), 0  # Kendall's tau of a normal pair (Greiner 1909)
    for _ in range(60):
        x = rng.standard_normal(40)
        y = 0.8 * x + 0.6 * rng.standard_normal(40)
        estimate = Estimate.of(kendall(x, y, resampled(40, seed=int(rng.integers(1e9)), resamples=400)))
        held += estimate.lower <= truth <= estimate.upper
    assert held >= 42


def test_a_statistic_that_is_mostly_undefined_has_no_interval() -> None:
    mostly = Estimate.of(np.array([0.5] + [np.nan] * 20 + [0.1] * 80))
    assert (mostly.value, math.isnan(mostly.lower)) == (0.5, True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = Estimate.of(kendall(np.ones(5), np.arange(5.0), resampled(5, seed=0, resamples=10)))
    assert math.isnan(constant.value)
