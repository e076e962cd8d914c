"""How often a call is tried again, and how long is waited before.  What may be tried again, `connection` knows."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Retries:
    """Attempts of one call, and the pauses between them."""

    attempts: int = 5
    patience_s: float = 90.0  # of a submission that may have arrived: longer than its key is held for a dead server
    first_s: float = 0.25  # the longest pause after the first failure; each later one may be twice as long
    longest_s: float = 8.0
    longest_asked_s: float = 60.0  # a server that asks for more is waited for that long only

    def over(self, failures: int, lost_s: float, *, patient: bool) -> bool:
        """Whether to give up after so many failures in a row, the first of which began so many seconds ago."""
        return failures >= self.attempts and not (patient and lost_s < self.patience_s)

    def pause_s(self, failures: int, rng: random.Random, asked_s: float | None = None) -> float:
        """How long to wait after so many failures in a row: at least as long as the server asked.

        Anything from nothing to the longest is equally likely, so that many clients of a server that comes back do
        not call it at once ("full jitter").
        """
        longest = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return min(asked_s or 0.0, self.longest_asked_s) + rng.uniform(0.0, longest)
