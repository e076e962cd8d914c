"""Ceiling, share and regret against values worked out by hand; smaller is better."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.bootstrap import resampled
from predictors.fidelity import ceiling_of, compare, regret_of

NAN = np.nan


def array(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=float)


def test_the_ceiling_is_what_another_seed_reaches() -> None:
    alone = array((1, 1), (2, 3), (3, 2), (4, 4))  # of six pairs one is ranked the other way round: 4/6
    ceiling = ceiling_of(alone, resampled(4, 0))
    assert ceiling is not None
    assert ceiling.kendall.value == pytest.approx(4 / 6)
    assert ceiling.spearman.value == pytest.approx(0.8)
    assert ceiling.regret == 0
    assert ceiling.noise == pytest.approx(0.5)
    assert ceiling.count == 4


def test_the_share_is_the_mean_over_the_seeds_against_the_ceiling() -> None:
    alone = array((1, 1), (2, 3), (3, 2), (4, 4))
    scores = np.array([1.0, 2.0, 3.0, 4.0])  # as the first seed: tau-b 1, to the second 4/6
    comparison = compare(scores, alone, resampled(4, 0))
    assert comparison is not None
    assert comparison.kendall.value == pytest.approx((1 + 4 / 6) / 2)
    assert comparison.share is not None
    assert comparison.share.value == pytest.approx((1 + 4 / 6) / 2 / (4 / 6))
    assert comparison.tied == 0


def test_the_interval_of_the_share_comes_from_the_same_resamples() -> None:
    """Where the scores are one of two seeds, both rise and fall together, and the ratio hardly moves."""
    rng = np.random.default_rng(0)
    true = rng.standard_normal(30)
    alone = true[:, None] + 0.3 * rng.standard_normal((30, 2))
    comparison = compare(alone.mean(axis=1), alone, resampled(30, 1))
    assert comparison is not None
    assert comparison.share is not None
    ceiling = ceiling_of(alone, resampled(30, 1))
    assert ceiling is not None
    width = comparison.share.upper - comparison.share.lower
    assert comparison.share.lower < comparison.share.value < comparison.share.upper
    relative = (ceiling.kendall.upper - ceiling.kendall.lower) / ceiling.kendall.value
    assert width < relative


def test_only_architectures_with_every_seed_make_ceiling_and_share() -> None:
    alone = array((1, 1), (2, 2), (3, 3), (9, NAN), (0, NAN))
    scores = np.array([1.0, 2.0, 3.0, 0.5, 5.0])
    comparison, ceiling = compare(scores, alone, resampled(5, 0)), ceiling_of(alone, resampled(5, 0))
    assert ceiling is not None
    assert (ceiling.count, ceiling.kendall.value) == (3, 1)
    assert comparison is not None
    assert comparison.count == 5
    assert comparison.share is not None
    assert comparison.share.value == 1
    # Seed 1 over five, tau-b (4 right, 6 wrong) / 10; seed 2 over three, 1; weighed by their architectures.
    by_hand = np.sign(np.subtract.outer(scores, scores)) * np.sign(np.subtract.outer(alone[:, 0], alone[:, 0]))
    assert comparison.kendall.value == pytest.approx((5 * by_hand.sum() / 20 + 3 * 1) / 8)


def test_seeds_that_do_not_agree_have_no_share() -> None:
    alone = array((1, 3), (2, 2), (3, 1))
    comparison = compare(np.array([1.0, 2.0, 3.0]), alone, resampled(3, 0))
    assert comparison is not None
    assert comparison.share is None


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_have_nothing_to_say(seeds: int) -> None:
    alone = np.arange(2.0 * seeds).reshape(2, seeds)
    assert ceiling_of(alone, resampled(2, 0)) is None
    assert compare(np.array([1.0, 2.0]), alone, resampled(2, 0)) is None


def test_one_seed_has_no_ceiling() -> None:
    alone = array((1,), (2,), (3,))
    assert ceiling_of(alone, resampled(3, 0)) is None
    comparison = compare(np.array([1.0, 2.0, 3.0]), alone, resampled(3, 0))
    assert comparison is not None
    assert comparison.share is None
    assert comparison.kendall.value == 1


def test_regret_is_how_much_worse_the_chosen_one_is() -> None:
    alone = array((0.3, 0.5), (0.1, 0.2), (0.2, 0.1))
    assert regret_of(np.array([1.0, 2.0, 3.0]), alone) == pytest.approx((0.2 + 0.4) / 2)
    assert regret_of(np.array([2.0, 1.0, 3.0]), alone) == pytest.approx((0.0 + 0.1) / 2)


def test_a_tie_costs_what_choosing_blindly_among_them_does() -> None:
    alone = array((0.3,), (0.1,), (0.2,))
    assert regret_of(np.array([1.0, 1.0, 2.0]), alone) == pytest.approx((0.2 + 0.0) / 2)


def test_ties_are_counted_over_pairs() -> None:
    comparison = compare(np.array([1.0, 1.0, 1.0, 2.0]), np.arange(4.0)[:, None], resampled(4, 0))
    assert comparison is not None
    assert comparison.tied == pytest.approx(3 / 6)
