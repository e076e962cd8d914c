"""What an architecture would measure, learned from a few that were measured.

Owns the choice of scale, the fit, and the honesty of the interval.  The regression is `gaussian_process`'s,
the columns are `features`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from predictors.errors import TooFewValues
from predictors.features import FeatureLayout
from predictors.gaussian_process import GaussianProcess
from predictors.interval import conformal_factor
from predictors.ranking import rank_agreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from predictors.features import Features
    from search_spaces import Architecture, SearchSpace

FEWEST = 8  # values; fewer cannot give a 90 % interval any meaning
FOLDS = 10


@dataclass(frozen=True)
class Prediction:
    """Estimates for some architectures, in the unit of the learned values: arrays of one number each."""

    mean: NDArray[np.float64]
    lower: NDArray[np.float64]  # the interval holds 90 % of measurements
    upper: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How good a predictor was on values that it had not seen, a tenth of them left out at a time."""

    count: int
    mean_absolute_error: float
    kendall: float
    coverage: float  # share of the left-out values inside their 90 % interval


class Predictor:
    """A learned estimate; `fit_predictor` makes one."""

    def __init__(self, layout: FeatureLayout, process: GaussianProcess, *, factor: float, log: bool, fit: Fit) -> None:
        self._layout = layout
        self._process = process
        self._factor = factor
        self._log = log
        self.fit = fit

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Estimates with 90 % intervals, in the order given."""
        mean, std = self._process.predict(self._layout.extract(architectures), with_noise=True)
        reach = self._factor * std
        bounds = (mean, mean - reach, mean + reach)
        return Prediction(*(np.exp(b) if self._log else b for b in bounds))


def fit_predictor(
    space: SearchSpace, architectures: Sequence[Architecture], values: Sequence[float], seed: int = 0
) -> Predictor:
    """Learn `values` (one measurement for each architecture) over `space`.

    Positive values that vary by more than a half are learned on a logarithmic scale, since costs multiply.
    Raises `TooFewValues` for fewer than 8 values, for values that are not finite, or for lists of different
    lengths.
    """
    measured = np.asarray(values, dtype=np.float64)
    if len(architectures) != len(measured):
        raise TooFewValues(f"{len(architectures)} architectures were given with {len(measured)} values.")
    if len(measured) < FEWEST:
        raise TooFewValues(f"a predictor needs at least {FEWEST} measured architectures, got {len(measured)}.")
    if not np.isfinite(measured).all():
        raise TooFewValues("a predictor cannot learn from NaN or infinite values; leave failed measurements out.")
    log = bool((measured > 0).all() and measured.max() > 1.5 * measured.min())
    targets = np.log(measured) if log else measured
    for architecture in architectures:
        space.check(architecture)
    layout = FeatureLayout.of(space)
    features = layout.extract(architectures)
    # Matrices of a few hundred rows: on a busy machine threads waiting for each other cost 100 times the work.
    with threadpool_limits(1, user_api="blas"):
        process = GaussianProcess.fit(features, targets, seed)
        means, stds = _held_out(features, targets, seed)
    factor = conformal_factor(targets, means, stds)
    return Predictor(layout, process, factor=factor, log=log, fit=_judge(targets, means, stds, log=log))


def _held_out(
    features: Features, targets: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each value by a process that was fitted without it.

    Its hyperparameters too: the closed form (Rasmussen and Williams 2006, eq. 5.12) keeps those that the
    value helped to choose, and
    its intervals then hold 80 to 85 % of HW-GPT-Bench instead of 90 (100 values, 6 draws).
    """
    means, stds = np.empty_like(targets), np.empty_like(targets)
    fold = np.random.default_rng(seed).permutation(len(targets)) % FOLDS
    for number in range(min(FOLDS, len(targets))):
        out, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        process = GaussianProcess.fit(features.take(rest), targets[rest], seed)
        means[out], stds[out] = process.predict(features.take(out), with_noise=True)
    return means, stds


def _judge(targets: NDArray[np.float64], means: NDArray[np.float64], stds: NDArray[np.float64], *, log: bool) -> Fit:
    """Each value judged by an interval whose factor was found without it."""
    inside = []
    for row in range(len(targets)):
        others = np.arange(len(targets)) != row
        factor = conformal_factor(targets[others], means[others], stds[others])
        inside.append(abs(targets[row] - means[row]) <= factor * stds[row])
    back = np.exp if log else np.asarray
    return Fit(
        count=len(targets),
        mean_absolute_error=float(np.abs(back(targets) - back(means)).mean()),
        kendall=rank_agreement(list(targets), list(means)).kendall,
        coverage=float(np.mean(inside)),
    )
