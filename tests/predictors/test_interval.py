"""Intervals hold as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictors.interval import COVERAGE, conformal_factor


def factor_of(scores: np.ndarray) -> float:
    return conformal_factor(scores, np.zeros(len(scores)), np.ones(len(scores)))


@pytest.mark.parametrize(("count", "position"), [(9, 9), (10, 10), (18, 18), (19, 18), (20, 19), (99, 90), (100, 91)])
def test_the_factor_is_the_conformal_quantile(count: int, position: int) -> None:
    """The ceil((n + 1) * 0.9)-th smallest score (Vovk et al. 2005)."""
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert factor_of(scores * np.random.default_rng(1).choice([-1, 1], count)) == position


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_scores_are_errors_in_units_of_their_own_deviation(count: int, unit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors, stds, means = rng.normal(size=count), rng.uniform(0.5, 2, count), rng.normal(size=count)
    factor = conformal_factor(means + errors, means, stds)
    assert conformal_factor(means + unit * errors, means, unit * stds) == pytest.approx(factor, rel=1e-6)
    assert conformal_factor(means + unit * errors, means, stds) == pytest.approx(unit * factor, rel=1e-6)
    if count >= 9:
        inside = np.abs(errors) <= factor * stds * (1 + 1e-9)
        assert inside.mean() >= COVERAGE


@pytest.mark.parametrize("count", [2, 7, 8, 9, 30])
def test_new_normal_errors_are_covered_as_often_as_stated(count: int) -> None:
    """4,000 draws: the deviation of the share is 0.0047, and 0.022 is beyond 4.6 of them (false alarm < 5e-6).

    From nine scores on the quantile covers ceil(0.9 (n + 1)) / (n + 1), at least 0.9 and at most 1 / (n + 1) more.
    """
    rng = np.random.default_rng(count)
    covered = np.mean([abs(rng.normal()) <= factor_of(rng.normal(size=count)) for _ in range(4_000)])
    expected = np.ceil((count + 1) * COVERAGE) / (count + 1) if count >= 9 else COVERAGE
    assert covered == pytest.approx(expected, abs=0.022)


def test_exact_predictions_need_no_interval() -> None:
    assert factor_of(np.zeros(20)) == 0
    assert factor_of(np.zeros(5)) == 0
