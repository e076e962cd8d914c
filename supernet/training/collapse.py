"""When a training has collapsed, and what going back to a checkpoint means.

Owns the rule and its limits.  What is judged is the share of wrong predictions on the validation split: unlike a loss
it does not rise while a network merely grows too sure of itself, and it means the same in every task.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from supernet.tasks.task import UNLABELLED, labelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

MOST_ROLLBACKS = 3  # the learning rate is then an eighth: what still collapses has another cause
RATE_CUT = 0.5  # of the learning rate, for each time that training went back

# A subnet has learnt when it makes at most this part of the errors of one who always names the commonest class ...
LEARNT = 0.75
# ... and has lost it again when it is back at nearly all of them.  Between the two lies what training may do by itself.
LOST = 0.95
# Standard errors of a guesser's share by which it must have got worse: few predictions, or few of a rare class, change
# that much by luck, and training would go back for nothing.
SURE = 4.0
# Checks in a row: one may be a spike that the next hundred steps repair.
PATIENCE = 3


@dataclass(frozen=True)
class Rollback:
    """One return to a healthy checkpoint: the first is number 1."""

    number: int
    found_after: int  # steps
    back_to: int  # step
    reason: str

    @property
    def rate_factor(self) -> float:
        """What the learning rate is multiplied by from here on."""
        return RATE_CUT**self.number

    def __str__(self) -> str:
        return f"{self.reason} after step {self.found_after}: back to step {self.back_to}"

    def to_json(self) -> dict[str, Any]:
        """Plain data, for a checkpoint's metadata or the record."""
        return {**asdict(self), "rate_factor": self.rate_factor}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rollback:
        """The inverse of `to_json`."""
        return cls(**{name: data[name] for name in ("number", "found_after", "back_to", "reason")})


@dataclass(frozen=True)
class CollapseRule:
    """Judges the checks of a run so far; each is the share of wrong predictions by subnet.

    `chance` is that of one who always names the commonest class, `predictions` says of how many they are shares.  A
    subnet that is not judged at a check (it is not being trained yet, say) is left out of it.
    """

    chance: float
    predictions: float = math.inf

    @classmethod
    def of(cls, targets: Tensor) -> CollapseRule:
        """For predictions of these.  targets (...)."""
        return cls(chance_of_wrong(targets), int((targets != UNLABELLED).sum()))

    def fine(self, checks: Sequence[Mapping[str, float]]) -> bool:
        """Whether the newest check, if any, shows nothing of a collapse."""
        return not any(self._lost_in_a_row(checks).values())

    def verdict(self, checks: Sequence[Mapping[str, float]], *, last: bool) -> str | None:
        """What has collapsed, in words; None while nothing has.

        Of the `last` check of a training one is enough: no later one will show that it was a spike.
        """
        for name, count in self._lost_in_a_row(checks).items():
            if count >= (1 if last else PATIENCE):
                best = min(check[name] for check in checks if name in check)
                return (
                    f"the {name} subnet, which had {best:.0%} of its predictions wrong, is back at "
                    f"{checks[-1][name]:.0%}, no better than a guess"
                )
        return None

    def _lost_in_a_row(self, checks: Sequence[Mapping[str, float]]) -> dict[str, int]:
        """By subnet, in how many of the newest checks it had lost what it once had learnt."""
        counts = dict.fromkeys(checks[-1], 0) if checks else {}
        luck = SURE * math.sqrt(self.chance * (1 - self.chance) / self.predictions)
        for name in counts:
            best = 1.0
            for check in checks:
                wrong = check.get(name)
                if wrong is None:
                    continue
                lost = best < LEARNT * self.chance and wrong > LOST * self.chance and wrong - best > luck
                counts[name] = counts[name] + 1 if lost else 0
                best = min(best, wrong)
        return counts


def share_of_wrong(logits: Tensor, targets: Tensor) -> float:
    """The share of labelled predictions that are wrong; so are those that are not numbers.

    logits (..., classes), targets (...).
    """
    logits_NC, targets_N = labelled(logits, targets)
    right = (logits_NC.argmax(1) == targets_N) & ~logits_NC.isnan().any(1)
    return 1 - int(right.sum()) / len(targets_N)


def chance_of_wrong(targets: Tensor) -> float:
    """The share of wrong predictions of one who always names the commonest class.  targets (...)."""
    targets_N = labelled(targets[..., None], targets)[1]
    return 1 - int(torch.bincount(targets_N).max()) / len(targets_N)
