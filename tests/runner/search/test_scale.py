"""The scale against what its likelihood must prefer, and its behaviour outside what it has seen."""

from __future__ import annotations

import numpy as np
import pytest

from runner.search.scale import Scale


def test_normal_values_stay_and_lognormal_ones_are_logged() -> None:
    # Each wrong decision has odds of exp(-likelihood ratio), below 1e-8 at 200 draws of these spreads.
    normal = np.random.default_rng(0).normal(size=200)
    assert Scale.learned(10.0 + normal * 3.0).floor is None
    assert Scale.learned(np.exp(normal)).floor is not None


@pytest.mark.parametrize("values", [[1.0, 2.0], [0.0, 1.0, 100.0], [-1.0, 1.0, 100.0], [3.0, 3.0, 3.0]])
def test_values_without_a_useful_logarithm_stay(values: list[float]) -> None:
    scale = Scale.learned(values)
    assert scale.forward(values).tolist() == values


def test_the_logarithm_is_taken_where_it_is_trusted() -> None:
    scale = Scale.learned([1.0, 10.0, 1000.0, 1e6])
    assert scale.forward([0.5, 1.0, 1e9]) == pytest.approx(np.log([0.5, 1.0, 1e9]))


def test_values_below_all_that_was_seen_stay_ordered_and_finite() -> None:
    scale = Scale.learned([1.0, 10.0, 1000.0, 1e6])
    values = scale.forward([-1.0, 0.0, 0.05, 0.0999, 0.1, 0.1001, 0.5])
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()
    assert values[1] == pytest.approx(np.log(0.1) - 1.0)
