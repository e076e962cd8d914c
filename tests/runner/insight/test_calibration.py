"""Predictions beside measurements."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.ranking import rank_agreement
from runner.insight.calibration import Calibration, calibrate, kendall
from runner.store.queries import Pair


def pair(predicted: float, measured: float, lower: float | None = None, upper: float | None = None) -> Pair:
    return Pair("ab", predicted, lower, upper, measured, None, None)


def test_numbers_worked_out_by_hand() -> None:
    pairs = [pair(1.0, 1.5, 0.5, 1.4), pair(2.0, 1.8, 1.8, 2.2), pair(3.0, 3.3, 2.0, 4.0), pair(4.0, 3.0)]
    found = calibrate(pairs)
    assert (found.checked, found.inside) == (4, 2)
    assert found.mean_absolute_error == pytest.approx((0.5 + 0.2 + 0.3 + 1.0) / 4)
    assert found.kendall == pytest.approx(4 / 6)  # one of six pairs is turned around


def test_nothing_was_checked() -> None:
    assert calibrate([]) == Calibration(checked=0, inside=0, kendall=None, mean_absolute_error=None)
    assert calibrate([pair(1.0, 1.0)]).kendall is None
    assert calibrate([pair(1.0, 1.0), pair(1.0, 2.0)]).kendall is None


def test_kendall_is_that_of_scipy_with_ties() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        first, second = rng.integers(0, 6, 40).astype(float).tolist(), rng.integers(0, 9, 40).astype(float).tolist()
        assert kendall(first, second) == pytest.approx(rank_agreement(first, second).kendall)
