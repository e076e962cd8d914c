"""Owns what one evaluation may use of a machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runner.parallel.errors import InvalidResources


@dataclass(frozen=True)
class Resources:
    """CPUs and GPUs for each worker. Shares of a GPU are allowed: four workers fit one GPU with gpus=0.25.

    With cpus=0 nothing is kept free for a worker: for those that work only while others rest.
    """

    cpus: float = 1
    gpus: float = 0

    def __post_init__(self) -> None:
        if not math.isfinite(self.cpus) or self.cpus < 0:
            raise InvalidResources(f"cpus for each worker must be 0 or a positive number, got {self.cpus}")
        if not math.isfinite(self.gpus) or self.gpus < 0:
            raise InvalidResources(f"gpus for each worker must be 0 or a positive number, got {self.gpus}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InvalidResources(f"more than one GPU for each worker must be a whole number, got gpus={self.gpus}")

    @property
    def threads(self) -> int:
        """How many threads a worker's libraries may use."""
        return max(1, int(self.cpus))
