"""How far scores that are cheap to have may be trusted to rank architectures like training each of them alone does.

A training with another seed ranks differently, too, so no score can be expected to agree with one training better
than a second training does: that agreement is the *ceiling*, and what counts is the share of it that a score reaches.
Everywhere here smaller scores are better, and NaN stands for what is not known.
"""

# B resamples, N architectures, S seeds

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import TYPE_CHECKING

import numpy as np

from predictors.bootstrap import Estimate, kendall, spearman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST = 3  # architectures: two of them are ranked alike or not, which says nothing


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """How well one training alone ranks like another one with a different seed."""

    count: int  # architectures that were trained with every seed
    kendall: Estimate  # tau-b, the mean over all pairs of seeds
    spearman: Estimate
    regret: float  # of choosing by one seed, judged by another
    noise: float  # median distance between the best and the worst seed of an architecture


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How well some scores rank like training alone."""

    count: int  # architectures with the score and at least one training
    kendall: Estimate  # tau-b, the mean over the seeds, each weighing as its architectures
    spearman: Estimate
    kendall_to_mean: float  # tau-b to the mean over the seeds, which is less noisy than any of them
    share: Estimate | None  # of the ceiling's tau-b, both over the architectures trained with every seed
    tied: float  # share of the pairs of architectures that have the same score
    regret: float  # of choosing the best score: see `regret_of`


def ceiling_of(alone_NS: Floats, times_BN: Floats) -> Ceiling | None:
    """What another training reaches; None for fewer than two seeds or three architectures with all of them."""
    full_N = np.isfinite(alone_NS).all(axis=1)
    pairs = list(combinations(range(alone_NS.shape[1]), 2))
    if not pairs or full_N.sum() < FEWEST:
        return None
    alone_NS, times_BN = alone_NS[full_N], times_BN[:, full_N]
    columns = alone_NS.T
    regrets = [
        regret_of(columns[chosen], columns[judge][:, None]) for chosen, judge in permutations(range(len(columns)), 2)
    ]
    return Ceiling(
        count=int(full_N.sum()),
        kendall=Estimate.of(_between_seeds(kendall, columns, times_BN, pairs)),
        spearman=Estimate.of(_between_seeds(spearman, columns, times_BN, pairs)),
        regret=float(np.mean(regrets)),
        noise=float(np.median(alone_NS.max(axis=1) - alone_NS.min(axis=1))),
    )


def compare(scores_N: Floats, alone_NS: Floats, times_BN: Floats) -> Comparison | None:
    """How `scores_N` rank like the trainings in the columns of `alone_NS`; None where fewer than three have both."""
    usable_N = np.isfinite(scores_N) & np.isfinite(alone_NS).any(axis=1)
    if usable_N.sum() < FEWEST:
        return None
    scores_N, alone_NS, times_BN = scores_N[usable_N], alone_NS[usable_N], times_BN[:, usable_N]
    own = np.ones((1, len(scores_N)))
    pairs = math.comb(len(scores_N), 2)
    tied = sum(math.comb(int(count), 2) for count in np.unique(scores_N, return_counts=True)[1]) / pairs
    return Comparison(
        count=len(scores_N),
        kendall=Estimate.of(_to_seeds(kendall, scores_N, alone_NS, times_BN)),
        spearman=Estimate.of(_to_seeds(spearman, scores_N, alone_NS, times_BN)),
        kendall_to_mean=float(kendall(scores_N, np.nanmean(alone_NS, axis=1), own)[0]),
        share=_share(scores_N, alone_NS, times_BN),
        tied=tied,
        regret=regret_of(scores_N, alone_NS),
    )


def regret_of(scores_N: Floats, alone_NS: Floats) -> float:
    """How much worse, trained alone, the architecture with the best score is than the best one of all.

    The mean over the seeds, each over the architectures that were trained with it.  Where several share the best score
    it is what choosing one of them blindly costs on average.
    """
    regrets = []
    for alone_N in alone_NS.T:
        known = np.isfinite(alone_N) & np.isfinite(scores_N)
        if known.any():
            chosen = scores_N[known] == scores_N[known].min()
            regrets.append(alone_N[known][chosen].mean() - alone_N[known].min())
    return float(np.mean(regrets)) if regrets else math.nan


def _share(scores_N: Floats, alone_NS: Floats, times_BN: Floats) -> Estimate | None:
    """The ratio of two means of tau-b in each resample, undefined where the seeds do not agree at all."""
    full_N = np.isfinite(alone_NS).all(axis=1)
    pairs = list(combinations(range(alone_NS.shape[1]), 2))
    if not pairs or full_N.sum() < FEWEST:
        return None
    alone_NS, times_BN = alone_NS[full_N], times_BN[:, full_N]
    reached_B = _to_seeds(kendall, scores_N[full_N], alone_NS, times_BN)
    highest_B = _between_seeds(kendall, alone_NS.T, times_BN, pairs)
    agree = highest_B > 0
    share_B = np.where(agree, reached_B / np.where(agree, highest_B, 1.0), np.nan)
    return Estimate.of(share_B) if math.isfinite(float(share_B[0])) else None


def _to_seeds(
    correlation: Callable[[Floats, Floats, Floats], Floats], scores_N: Floats, alone_NS: Floats, times_BN: Floats
) -> Floats:
    """The mean correlation of the scores with each seed's, in each resample."""
    counts = np.isfinite(alone_NS).sum(axis=0)
    # A seed that only a few architectures were trained with yet ranks too few of them to be asked.
    asked = [seed for seed in range(alone_NS.shape[1]) if counts[seed] >= FEWEST]
    if not asked:
        return np.full(len(times_BN), np.nan)
    found = np.array([correlation(scores_N, alone_NS[:, seed], times_BN) for seed in asked])
    mean: Floats = np.average(found, axis=0, weights=counts[asked])
    return mean


def _between_seeds(
    correlation: Callable[[Floats, Floats, Floats], Floats],
    columns: Floats,
    times_BN: Floats,
    pairs: Iterable[tuple[int, int]],
) -> Floats:
    mean: Floats = np.mean([correlation(columns[a], columns[b], times_BN) for a, b in pairs], axis=0)
    return mean
