"""Reports to look at: scores made up for tests alone."""

from __future__ import annotations

import math
import random
from functools import cache
from typing import TYPE_CHECKING, Any

from runner.fidelity.report import Compared, FidelityReport, make_report

if TYPE_CHECKING:
    from collections.abc import Sequence


def scores(count: int = 40, seeds: int = 2) -> list[Compared]:
    """Architectures whose error falls with size, with noise of the seed and of shared weights."""
    rng = random.Random(7)
    made = []
    for index in range(count):
        true = 0.03 + 0.1 * math.exp(-9 * index / count) + abs(rng.gauss(0, 0.01))
        made.append(
            Compared(
                digest=f"{index:012x}",
                cost=15_000.0 + 5_000 * index,
                inherited=round((1.3 * true + 0.02 + rng.gauss(0, 0.01)) * 359) / 359,
                retrained=None,
                exported=None,
                alone=tuple(round((true + rng.gauss(0, 0.006)) * 359) / 359 for _ in range(seeds)),
            )
        )
    return made


def report(architectures: Sequence[Compared] | None = None, **changes: Any) -> FidelityReport:
    """A report of these architectures, by default a complete one of forty with two seeds."""
    return _usual() if architectures is None and not changes else _made(architectures, **changes)


@cache  # it takes a tenth of a second, and many tests look at it
def _usual() -> FidelityReport:
    return _made(None)


def _made(architectures: Sequence[Compared] | None, **changes: Any) -> FidelityReport:
    found = scores() if architectures is None else list(architectures)
    seeds = len(found[0].alone) if found else 2
    settings: dict[str, Any] = {
        "metric": "error",
        "goal": "minimize",
        "cost": "parameters",
        "steps": 400,
        "seeds": tuple(range(1, seeds + 1)),
        "wanted": seeds * len(found),
        "done": seeds * len(found),
        "failed": 0,
        "knee_cost": 80_000.0,
        "seed": 0,
    }
    return make_report(found, **{**settings, **changes})
