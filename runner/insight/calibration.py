"""Predictions that were checked: how far they were off, and whether their intervals keep their promise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.store.queries import Pair

LEVEL = 0.9  # of the intervals that `predictors` gives


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well a metric was predicted."""

    checked: int
    inside: int  # measurements within the predicted interval
    kendall: float | None  # tau-b; None for fewer than two, or where one list is constant
    mean_absolute_error: float | None  # in the metric's unit


def calibrate(pairs: Sequence[Pair]) -> Calibration:
    """The numbers for predictions that were measured later."""
    errors = [abs(pair.predicted - pair.measured) for pair in pairs]
    return Calibration(
        checked=len(pairs),
        inside=sum(
            pair.lower is not None and pair.upper is not None and pair.lower <= pair.measured <= pair.upper
            for pair in pairs
        ),
        kendall=kendall([pair.predicted for pair in pairs], [pair.measured for pair in pairs]),
        mean_absolute_error=math.fsum(errors) / len(errors) if errors else None,
    )


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b, pair by pair: quick for some thousand values, and without SciPy, which a server never loads."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    agreeing, untied_first, untied_second = 0, 0, 0
    for row in range(len(a) - 1):
        of_first, of_second = np.sign(a[row + 1 :] - a[row]), np.sign(b[row + 1 :] - b[row])
        agreeing += int((of_first * of_second).sum())
        untied_first += int(np.count_nonzero(of_first))
        untied_second += int(np.count_nonzero(of_second))
    if untied_first == 0 or untied_second == 0:
        return None
    return agreeing / math.sqrt(untied_first * untied_second)
