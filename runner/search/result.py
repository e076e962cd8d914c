"""Owns what a search hands back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.search.errors import SearchError
from runner.search.pareto import hypervolume, knee, non_dominated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.search.evaluation import Evaluation
    from runner.search.problem import Problem

Reason = Literal["evaluations", "exhausted", "stopped"]


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Every evaluation in the order of completion, and why the search ended.

    The reason is "evaluations" (the budget is spent), "exhausted" (nothing is left to propose) or "stopped".
    """

    problem: Problem
    evaluations: tuple[Evaluation, ...]
    reason: Reason

    @cached_property
    def front(self) -> tuple[Evaluation, ...]:
        """The complete evaluations that keep the bounds and that none of them dominates.

        Sorted by the objectives in declared order, the best value of the first one first. Several
        architectures with the same values all stay.
        """
        feasible = [evaluation for evaluation in self.evaluations if self.problem.feasible(evaluation)]
        points = [self.problem.oriented(evaluation.values) for evaluation in feasible]
        if not points:
            return ()
        kept = np.flatnonzero(non_dominated(points)).tolist()
        return tuple(feasible[row] for row in sorted(kept, key=lambda row: points[row]))

    @property
    def knee(self) -> Evaluation:
        """The point of the front nearest to its ideal corner; `pareto.knee` has the definition."""
        if not self.front:
            raise SearchError("the front is empty: no complete evaluation keeps the bounds")
        return self.front[knee([self.problem.oriented(evaluation.values) for evaluation in self.front])]

    def hypervolume(self, reference: Mapping[str, float]) -> float:
        """The volume between the front and a reference point, a value an objective, in their units."""
        names = list(self.problem.objectives)
        if set(reference) != set(names):
            raise SearchError(
                f"the reference point names {', '.join(reference) or 'nothing'}; "
                f"it needs one value for each objective: {', '.join(names)}"
            )
        points = [self.problem.oriented(evaluation.values) for evaluation in self.front]
        return hypervolume(np.array(points).reshape(len(points), len(names)), self.problem.oriented(reference))
