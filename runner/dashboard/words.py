"""Numbers, units and times in words, the same in pages and pictures.  It owns no unit: those are the model card's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from runner.study import goal_of
from supernet.export import card

_LARGEST_DECIMALS = 6
_SIGNIFICANT_DIGITS = 4
_PREFIXED = {"bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))}
_COUNTED = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


def unit_of(metric: str) -> str:
    """The unit of a metric, empty where it has none that is known."""
    return card.unit_of(metric.removeprefix("test_"))


def label(metric: str, unit: str | None = None) -> str:
    """The metric's name with its unit, unless the name says it already."""
    unit = unit_of(metric) if unit is None else unit
    return metric if not unit or metric.endswith(f"_{unit}") else f"{metric} ({unit})"


def direction(metric: str, goal: str | None) -> str:
    """Which way is better; `goal` is the study's own, None the metric's."""
    return "lower is better" if (goal or goal_of(metric)) == "minimize" else "higher is better"


def scaled_unit(metric: str, largest: float) -> tuple[float, str]:
    """What to divide by, and the unit then, so that numbers up to `largest` stay short."""
    unit = unit_of(metric)
    if unit in _PREFIXED:
        return next(((factor, name) for factor, name in _PREFIXED[unit] if largest >= factor), (1.0, unit))
    for factor, name in _COUNTED:
        if largest >= 10 * factor:
            return factor, f"{name} {unit}".rstrip()
    return 1.0, unit


def decimals_for(values: Sequence[float]) -> int:
    """So many decimals that the largest of these numbers shows four digits; none for whole numbers."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0 or (largest >= 10 and all(float(value).is_integer() for value in values)):
        return 0
    wanted = _SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(largest))
    return min(max(wanted, 0), _LARGEST_DECIMALS)


def number(value: float, decimals: int | None = None) -> str:
    """A number with thousands apart; on its own it gets the decimals that suit it."""
    return f"{value:,.{decimals_for([value]) if decimals is None else decimals}f}"


def span(time: timedelta) -> str:
    """A length of time in its two largest units at most."""
    seconds = max(time.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = [
        (whole // 86_400, "d"),
        (whole % 86_400 // 3_600, "h"),
        (whole % 3_600 // 60, "min"),
        (whole % 60, "s"),
    ]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# What each provenance says about a number.
PROVENANCE = {
    "computed": "follows from the structure",
    "predicted": "estimated; nobody measured it",
    "inherited": "measured with the supernet's shared weights; scores on the validation split",
    "retrained": "measured after training alone",
    "exported": "measured on the exported file",
}
