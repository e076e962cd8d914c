"""Owns the question of a search: which architectures, which metrics, what is better, what is allowed.

How to look for the answer belongs to the algorithms; running the evaluator to the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from runner.search.errors import InvalidProblem
from runner.search.evaluation import Evaluation
from runner.search.pareto import MAX_HYPERVOLUME_OBJECTIVES
from search_spaces import Architecture

if TYPE_CHECKING:
    from search_spaces import SearchSpace

Goal = Literal["minimize", "maximize"]
Bound = tuple[float | None, float | None]
CostFunction = Callable[[Architecture], float]
GOALS: tuple[Goal, ...] = ("minimize", "maximize")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A checked question; `pose` makes one."""

    space: SearchSpace
    objectives: Mapping[str, Goal]
    costs: Mapping[str, CostFunction]  # each remembers its answers and refuses what is not finite
    bounds: Mapping[str, Bound]
    candidates: tuple[Architecture, ...] | None

    @property
    def measured_metrics(self) -> tuple[str, ...]:
        """What an evaluation must return: objectives and bounded metrics that are no computed costs."""
        needed = dict.fromkeys([*self.objectives, *self.bounds])
        return tuple(name for name in needed if name not in self.costs)

    def oriented(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The objectives in declared order, signs turned so that smaller is better."""
        return tuple(values[name] if goal == "minimize" else -values[name] for name, goal in self.objectives.items())

    def violation(self, values: Mapping[str, float]) -> float:
        """By how much the values break the bounds, summed; 0 where they keep them."""
        total = 0.0
        for name, (least, most) in self.bounds.items():
            total += max(0.0, least - values[name]) if least is not None else 0.0
            total += max(0.0, values[name] - most) if most is not None else 0.0
        return total

    def feasible(self, evaluation: Evaluation) -> bool:
        """Whether an evaluation is complete and keeps the bounds."""
        return evaluation.state == "complete" and self.violation(evaluation.values) == 0.0

    def costs_of(self, architecture: Architecture) -> dict[str, float]:
        """Every computed cost of an architecture."""
        return {name: function(architecture) for name, function in self.costs.items()}

    def judge(self, architecture: Architecture, returned: object) -> Evaluation:
        """The evaluation that an evaluator's answer amounts to.

        A measured metric that is absent or not a finite number fails it. Other metrics are kept where they
        are finite numbers. A computed cost replaces a returned value of the same name.
        """
        if not isinstance(returned, Mapping):
            return Evaluation.failed(
                architecture,
                "exception",
                f"the evaluator must return a mapping from metric to number, got {type(returned).__name__}",
            )
        values: dict[str, float] = {}
        for name, value in returned.items():
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = math.nan
            if math.isfinite(number):
                values[name] = number
            elif name in self.measured_metrics:
                return Evaluation.failed(
                    architecture,
                    "non_finite",
                    f"the evaluator returned {name}={value!r}, not a finite number",
                )
        for name in self.measured_metrics:
            if name not in values:
                return Evaluation.failed(
                    architecture,
                    "missing_metric",
                    f"the evaluator returned no {name!r}; it returned {sorted(map(str, returned))}",
                )
        return Evaluation.complete(architecture, {**values, **self.costs_of(architecture)})


def pose(
    space: SearchSpace,
    objectives: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    costs: Mapping[str, CostFunction] | None = None,
    bounds: Mapping[str, Bound] | None = None,
    candidates: Iterable[Architecture] | None = None,
) -> Problem:
    """Check a question and make it a `Problem`; every error says what to change."""
    goals = _checked_goals(objectives)
    functions = {name: _Cost(name, function) for name, function in (costs or {}).items()}
    return Problem(
        space=space,
        objectives=goals,
        costs=functions,
        bounds=_checked_bounds(bounds or {}, [*goals, *functions]),
        candidates=None if candidates is None else _checked_candidates(space, tuple(candidates)),
    )


class _Cost:
    """A cost that is computed once an architecture and must be a finite number."""

    def __init__(self, name: str, function: CostFunction) -> None:
        if not callable(function):
            raise InvalidProblem(f"the cost {name!r} must be a function from architecture to number, got {function!r}")
        self._name = name
        self._function = function
        self._known: dict[Architecture, float] = {}

    def __call__(self, architecture: Architecture) -> float:
        if architecture not in self._known:
            value = float(self._function(architecture))
            if not math.isfinite(value):
                raise InvalidProblem(
                    f"the cost {self._name!r} must be finite for every architecture, got {value} for "
                    f"{architecture.to_json()}"
                )
            self._known[architecture] = value
        return self._known[architecture]


def _checked_goals(objectives: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, Goal]:
    pairs = list(objectives.items() if isinstance(objectives, Mapping) else objectives)
    if not 1 <= len({name for name, _ in pairs}) <= MAX_HYPERVOLUME_OBJECTIVES:
        raise InvalidProblem(
            f"a search has 1 to {MAX_HYPERVOLUME_OBJECTIVES} objectives, got {len(pairs)}; "
            'write for example objectives={"error": "minimize"}'
        )
    goals: dict[str, Goal] = {}
    for name, goal in pairs:
        wanted = (goal,) if isinstance(goal, str) else tuple(goal)
        for one in wanted:
            if one not in GOALS:
                raise InvalidProblem(f"unknown goal {one!r} for the objective {name!r}; allowed: {', '.join(GOALS)}")
            if goals.get(name, one) != one:
                raise InvalidProblem(
                    f"the objective {name!r} is asked to be both minimized and maximized; keep one direction"
                )
            goals[name] = cast("Goal", one)
    return goals


def _checked_bounds(bounds: Mapping[str, Bound], known: Sequence[str]) -> dict[str, Bound]:
    checked: dict[str, Bound] = {}
    for name, bound in bounds.items():
        if name not in known:
            raise InvalidProblem(
                f"a bound on {name!r}, which is neither an objective nor a cost; known: {', '.join(known)}"
            )
        try:
            least, most = bound
        except (TypeError, ValueError):
            raise InvalidProblem(
                f"the bound on {name!r} must be a pair (at least, at most), None for no limit, got {bound!r}"
            ) from None
        if any(limit is not None and math.isnan(limit) for limit in (least, most)):
            raise InvalidProblem(f"the bound on {name!r} holds a limit that is not a number: {bound!r}")
        if least is not None and most is not None and least > most:
            raise InvalidProblem(f"no value of {name!r} is at least {least} and at most {most}; swap the limits")
        checked[name] = (least, most)
    return checked


def _checked_candidates(space: SearchSpace, candidates: tuple[object, ...]) -> tuple[Architecture, ...]:
    if not candidates:
        raise InvalidProblem("the pool of candidates is empty; give at least one architecture or candidates=None")
    checked: dict[Architecture, None] = {}
    for candidate in candidates:
        if not isinstance(candidate, Architecture) or not space.contains(candidate):
            shown = candidate.to_json() if isinstance(candidate, Architecture) else repr(candidate)
            raise InvalidProblem(
                f"the candidate {shown} is outside the search space of {', '.join(space.names)}; "
                "use space.canonical(...) to build candidates"
            )
        checked[candidate] = None
    return tuple(checked)
