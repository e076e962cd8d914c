"""How well one list of numbers ranks architectures like another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class RankAgreement:
    """Rank correlations of two lists; NaN where one of them is constant or shorter than two."""

    kendall: float  # tau-b, which corrects for ties
    spearman: float
    count: int


def rank_agreement(first: Sequence[float], second: Sequence[float]) -> RankAgreement:
    """Kendall's tau-b and Spearman's rho of two equally long lists."""
    if len(first) != len(second):
        raise ValueError(f"both lists must be equally long, got {len(first)} and {len(second)} values")
    if len(first) < 2 or len(set(first)) < 2 or len(set(second)) < 2:
        return RankAgreement(kendall=math.nan, spearman=math.nan, count=len(first))
    from scipy.stats import kendalltau, spearmanr

    return RankAgreement(
        kendall=float(kendalltau(first, second).statistic),
        spearman=float(spearmanr(first, second).statistic),
        count=len(first),
    )
