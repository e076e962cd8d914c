"""Intervals that hold as often as they say, whatever the model behind them.

Conformal prediction with cross-validated scores and a scale for each point (Vovk et al. 2005, chapter 4; Barber
et al. 2021 for the cross-validation): each value is compared with what a model that never saw it predicted, in
units of that model's own uncertainty, and a quantile of these scores widens later predictions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COVERAGE = 0.90


def conformal_factor(values: NDArray[np.float64], means: NDArray[np.float64], stds: NDArray[np.float64]) -> float:
    """By how much a predicted standard deviation is multiplied to give half of a 90 % interval.

    `means` and `stds` (n,) are predictions of `values` (n,) by models that left the value out.  Fewer than 9
    scores have no quantile that covers a new one with 90 %; their errors are taken to be normal instead, and
    the factor is Student's quantile times their root mean square, which is exact for those.
    """
    scores = np.sort(np.abs(values - means) / np.maximum(stds, np.finfo(float).tiny))
    count = len(scores)
    index = math.ceil((count + 1) * COVERAGE)
    if index <= count:
        return float(scores[index - 1])
    from scipy.stats import t

    return float(t.ppf(0.5 + COVERAGE / 2, count) * np.sqrt(np.mean(scores**2)))
