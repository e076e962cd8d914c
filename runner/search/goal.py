"""Owns what counts as a gain: the front so far, the point it is measured from, a candidate's score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runner.search.improvement import improvement_over
from runner.search.pareto import non_dominated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.search.evaluation import Evaluation
    from runner.search.outlook import Knowledge, Outlook
    from search_spaces import Architecture

FloatArray = npt.NDArray[np.float64]

_MARGIN = 0.1  # of the front's range: how far beyond its worst values the reference point lies
_FRONT, _ROUGH_FRONT = 300, 75  # points of the front that count, where it has more
_LOG_HALF = float(np.log(0.5))


@dataclass(frozen=True, kw_only=True, eq=False)
class Goal:
    """The front to improve, on the scales on which metrics are learned; smaller is better."""

    front: FloatArray  # a row a point, spread out first; empty while nothing keeps the bounds
    satisfied: bool  # whether anything measured keeps the bounds
    reference: FloatArray
    parents: tuple[Architecture, ...]  # the best architectures so far, to look around: never empty

    @classmethod
    def of(cls, knowledge: Knowledge, complete: Sequence[Evaluation]) -> Goal:
        """The goal that complete evaluations (at least one) leave."""
        feasible = [evaluation for evaluation in complete if knowledge.problem.feasible(evaluation)]
        members = feasible or list(complete)
        values = knowledge.minimised(members)
        best = np.flatnonzero(non_dominated(values))
        span = np.ptp(values[best], axis=0)
        return cls(
            front=values[best][_spread_out(values[best])] if feasible else values[:0],
            satisfied=bool(feasible),
            reference=values[best].max(axis=0) + _MARGIN * np.where(span > 0, span, 1.0),
            parents=tuple(members[row].architecture for row in best),
        )

    def believing(self, outlook: Outlook, rows: Sequence[int]) -> Goal:
        """The same goal if some candidates gave what is expected; those that keep the bounds count."""
        kept = [row for row in rows if outlook.log_feasibility[row] > _LOG_HALF]
        return replace(self, front=np.vstack([self.front, outlook.mean[kept]]))

    def rough(self) -> Goal:
        """The same goal over fewer points of the front, to rank many candidates quickly."""
        return replace(self, front=self.front[:_ROUGH_FRONT])

    def scores(self, outlook: Outlook) -> FloatArray:
        """The log of the expected gain times the probability of keeping the bounds; more is better.

        While nothing keeps the bounds, reaching them comes first and the gain only decides between equals.
        """
        gain = improvement_over(self.front, self.reference, seed=0).expected(outlook.mean, outlook.std)
        log_gain = np.log(np.maximum(gain, np.finfo(np.float64).tiny))
        return outlook.log_feasibility + (log_gain if self.satisfied else 1e-3 * log_gain)


def _spread_out(values: FloatArray) -> list[int]:
    """At most _FRONT rows, each the one furthest from those before it; the first has the best first value.

    A prefix of any length represents the whole front (farthest-point clustering, Gonzalez 1985).
    """
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(span > 0, span, 1.0)
    chosen = [int(np.argmin(scaled[:, 0]))]
    distance = ((scaled - scaled[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(_FRONT, len(values)) and distance.max() > 0:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((scaled - scaled[chosen[-1]]) ** 2).sum(axis=1))
    return chosen
