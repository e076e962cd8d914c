"""What is asked of a comparison: how many architectures, how often, for how long.  Owns its defaults and limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from predictors.fidelity import FEWEST
from runner.errors import SpecError
from runner.study import MAX_WORKERS

ARCHITECTURES = 40
REPEATS = 2
MOST_ARCHITECTURES = 10_000
MOST_REPEATS = 32


@dataclass(frozen=True, kw_only=True)
class FidelitySettings:
    """What `supernaut fidelity` was asked for.

    architectures  how many, stratified over the space's costs
    repeats        trainings of each, with different seeds; with one there is no ceiling
    repeated       how many of the architectures get more than one; None for all
    steps          of a training alone; None for as many as the supernet was trained for
    retrained      also train each with its inherited weights, as the study retrains its points
    exported       also export the retrained ones and score the files
    minutes        how long this call may take; None for as long as it takes
    workers        None: as the study says
    metric         what is compared; None for the first score among the study's objectives

    Raises `SpecError`.
    """

    architectures: int = ARCHITECTURES
    repeats: int = REPEATS
    repeated: int | None = None
    steps: int | None = None
    retrained: bool = False
    exported: bool = False
    minutes: float | None = None
    workers: int | Literal["auto", "serial"] | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        _within("architectures", self.architectures, FEWEST, MOST_ARCHITECTURES)
        _within("repeats", self.repeats, 1, MOST_REPEATS)
        if self.repeated is not None:
            _within("repeated", self.repeated, FEWEST, self.architectures)
        if self.steps is not None:
            _within("steps", self.steps, 1, 10_000_000)
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise SpecError(f"--minutes {self.minutes:g}: give a positive number of minutes, or leave it out.")
        if isinstance(self.workers, int):
            _within("workers", self.workers, 1, MAX_WORKERS)

    @property
    def retrains(self) -> bool:
        """Whether inherited weights are trained on: what is exported is what was retrained."""
        return self.retrained or self.exported

    def repeats_of(self, position: int) -> int:
        """How often the architecture at this position of the sample is trained alone."""
        return self.repeats if self.repeated is None or position < self.repeated else 1


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise SpecError(f"--{name} {value}: give a whole number from {least:,} to {most:,}.")
