"""One axis of a picture: its range, whether it is logarithmic, its ticks.  It knows numbers, no pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_MARGIN = 0.05  # of the range, free on both sides
_EQUAL = 1e-9  # of the larger value; numbers that are closer together count as equal
_DECADE, _WIDEST = 10.0, 1e12  # ranges between these ratios are shown on a logarithmic scale
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_DIGITS = ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))  # ticks in a decade, from many to few


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Where numbers lie between the two ends of an axis, 0 to 1."""

    low: float
    high: float
    logarithmic: bool
    ticks: tuple[tuple[float, str], ...]  # where, and what is written there

    def position(self, value: float) -> float:
        """0 at the low end, 1 at the high one; what lies outside is drawn at the end."""
        if self.logarithmic:
            value = max(value, self.low)
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)


def make_axis(values: Sequence[float], *, ticks: int, factor: float = 1.0, whole: bool = False) -> Axis:
    """An axis that shows all of `values`, with about so many ticks, written in units of `factor`.

    `whole` allows ticks at whole numbers only, and no logarithm.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    logarithmic = not whole and low > 0 and _DECADE * low < high < _WIDEST * low
    if logarithmic:
        margin = (high / low) ** _MARGIN
        low, high = low / margin, high * margin
        places = _log_ticks(low / factor, high / factor, ticks)
    else:
        # Equal values get a range around them, so that nothing divides by zero.
        size = max(abs(low), abs(high))
        margin = (high - low) * _MARGIN if high - low > _EQUAL * size else size * _MARGIN or 0.5
        low, high = low - margin, high + margin
        places = _linear_ticks(low / factor, high / factor, ticks, whole=whole)
    return Axis(low=low, high=high, logarithmic=logarithmic, ticks=tuple((p * factor, t) for p, t in places))


def _linear_ticks(low: float, high: float, count: int, *, whole: bool) -> list[tuple[float, str]]:
    step = _nice((high - low) / count)
    if whole:
        step = max(1.0, math.ceil(step))
    exponent = math.floor(math.log10(step) + 1e-9)
    decimals = max(0, -exponent + (1 if math.isclose(step, 2.5 * 10.0**exponent) else 0))
    indices = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [(index * step, f"{index * step:,.{decimals}f}") for index in indices]


def _nice(step: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * nice for nice in _STEPS if power * nice >= step * (1 - 1e-9))


def _log_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in _LOG_DIGITS:
        places = [
            digit * 10.0**power
            for power in range(first, last + 1)
            for digit in digits
            if low <= digit * 10.0**power <= high
        ]
        if len(places) <= count:
            break
    else:
        places = places[:: math.ceil(len(places) / count)]
    return [(place, f"{place:,.{max(0, -math.floor(math.log10(place) + 1e-9))}f}") for place in places]
