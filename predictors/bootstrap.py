"""Rank correlations of architectures that were drawn again with replacement, and the intervals that follow.

The percentile bootstrap over architectures (Efron & Tibshirani 1993, chapter 13).  A resample is how often each
architecture was drawn, so that thousands of correlations are a few products of matrices; an architecture that was
drawn twice is tied with itself, which tau-b leaves out of numerator and denominator alike.
"""

# B resamples, N architectures

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from predictors.interval import COVERAGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 2000
_MOST_UNDEFINED = 0.1  # of the resamples; with more of them the others say little


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A statistic of the sample with its 90 % interval; NaN where it is not defined."""

    value: float
    lower: float = math.nan
    upper: float = math.nan

    @classmethod
    def of(cls, drawn: Floats) -> Estimate:
        """From the statistic of the sample itself, which comes first, and of its resamples.

        Without an interval where it is undefined for more than a tenth of the resamples.
        """
        value, known = float(drawn[0]), drawn[1:][np.isfinite(drawn[1:])]
        if not math.isfinite(value) or len(known) < (1 - _MOST_UNDEFINED) * (len(drawn) - 1) or len(known) == 0:
            return cls(value=value)
        lower, upper = np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
        return cls(value=value, lower=float(lower), upper=float(upper))


def resampled(count: int, seed: int, resamples: int = RESAMPLES) -> Floats:
    """How often each of `count` architectures is drawn: (1 + resamples, count), the sample itself first."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.vstack([np.ones(count), drawn.astype(np.float64)])


def kendall(first_N: Floats, second_N: Floats, times_BN: Floats) -> Floats:
    """Kendall's tau-b in each resample: (B,).  A pair with a NaN is left out; NaN where a list is constant."""
    first_N, second_N, times_BN = _known(first_N, second_N, times_BN)
    x_NN = np.sign(first_N[:, None] - first_N)
    y_NN = np.sign(second_N[:, None] - second_N)

    def over_pairs(what_NN: Floats) -> Floats:
        total: Floats = ((times_BN @ what_NN) * times_BN).sum(axis=1)
        return total

    return _ratio(over_pairs(x_NN * y_NN), over_pairs(x_NN**2) * over_pairs(y_NN**2))


def spearman(first_N: Floats, second_N: Floats, times_BN: Floats) -> Floats:
    """Spearman's rho in each resample: (B,); tied values share the mean of their ranks.  NaN as in `kendall`."""
    first_N, second_N, times_BN = _known(first_N, second_N, times_BN)
    count_B1 = times_BN.sum(axis=1, keepdims=True)

    def centred_ranks(values_N: Floats) -> Floats:
        below_NN = (values_N < values_N[:, None]) + 0.5 * (values_N == values_N[:, None])
        ranks_BN: Floats = times_BN @ below_NN.T - count_B1 / 2
        return ranks_BN

    x_BN, y_BN = centred_ranks(first_N), centred_ranks(second_N)
    return _ratio(
        (times_BN * x_BN * y_BN).sum(axis=1), (times_BN * x_BN**2).sum(axis=1) * (times_BN * y_BN**2).sum(axis=1)
    )


def _known(first_N: Floats, second_N: Floats, times_BN: Floats) -> tuple[Floats, Floats, Floats]:
    known = np.isfinite(first_N) & np.isfinite(second_N)
    return first_N[known], second_N[known], times_BN[:, known]


def _ratio(product_B: Floats, squares_B: Floats) -> Floats:
    # The smallest square of a list that is not constant is far above the rounding of one that is.
    defined = squares_B > 1e-9
    ratio: Floats = np.where(defined, product_B / np.sqrt(np.where(defined, squares_B, 1.0)), np.nan)
    return ratio
