"""Owns the loop of a search: ask, evaluate, record, tell, until the budget or the space is spent.

The loop knows an algorithm and an executor and nothing of either. An executor may run several evaluations at
once: results are told in the order of completion, and the algorithm is asked while others are pending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runner.search.errors import InvalidProblem, SearchFailed
from runner.search.evaluation import Evaluation
from runner.search.problem import Bound, CostFunction, Problem, pose
from runner.search.registry import create_algorithm
from runner.search.result import Reason, SearchResult

if TYPE_CHECKING:
    from runner.search.protocol import Algorithm
    from search_spaces import Architecture, SearchSpace

Evaluator = Callable[["Architecture"], Mapping[str, float]]
MAX_CONSECUTIVE_FAILURES = 10


class Executor(Protocol):
    """Runs evaluations; the engine never has more under way than there are free places."""

    def free(self) -> int:
        """How many more evaluations may be submitted now."""
        ...

    def submit(self, architecture: Architecture) -> None:
        """Start, or note, one evaluation."""
        ...

    def collect(self) -> Evaluation:
        """Wait for any one of the evaluations under way."""
        ...


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far a search goes, what it continues, and who hears of it."""

    evaluations: int
    history: tuple[Evaluation, ...] = ()
    on_evaluation: Callable[[Evaluation], None] | None = None
    stop: Callable[[], bool] | None = None


def search(
    space: SearchSpace,
    evaluate: Evaluator,
    objectives: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    algorithm: str = "surrogate",
    evaluations: int = 200,
    seed: int = 0,
    costs: Mapping[str, CostFunction] | None = None,
    bounds: Mapping[str, Bound] | None = None,
    candidates: Iterable[Architecture] | None = None,
    history: Iterable[Evaluation] = (),
    on_evaluation: Callable[[Evaluation], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> SearchResult:
    """Look for the architectures that trade the objectives best.

    space          what can be chosen
    evaluate       architecture -> metrics; an exception fails the one evaluation, not the search
    objectives     metric -> "minimize" or "maximize"
    algorithm      a registered name: see `algorithm_names`
    evaluations    how many distinct architectures, failed ones and the history included
    costs          metric -> function that computes it exactly, for some hundred candidates a batch and for
                   all of a small space or pool; called once an architecture
    bounds         metric -> (at least, at most), None for no limit; objectives and costs can be bounded
    candidates     a finite pool; only its members are proposed
    history        evaluations already made; the search continues as if it had made them
    on_evaluation  called after each new evaluation, before anything else happens
    stop           asked between evaluations; True ends the search
    """
    problem = pose(space, objectives, costs=costs, bounds=bounds, candidates=candidates)
    course = Course(evaluations=evaluations, history=tuple(history), on_evaluation=on_evaluation, stop=stop)
    return run(problem, create_algorithm(algorithm, problem, seed), SerialExecutor(problem, evaluate), course)


def run(problem: Problem, algorithm: Algorithm, executor: Executor, course: Course) -> SearchResult:
    """The loop itself, for any algorithm and executor."""
    _check_course(problem, course)
    told = list(course.history)
    for evaluation in told:
        algorithm.tell(evaluation)
    running = 0
    failures: list[Evaluation] = []  # in a row, in this run: a repaired evaluator starts afresh
    while True:
        stopped = course.stop is not None and course.stop()
        room = 0 if stopped else min(executor.free(), course.evaluations - len(told) - running)
        for architecture in algorithm.ask(room) if room > 0 else ():
            executor.submit(architecture)
            running += 1
        if running == 0:
            return SearchResult(
                problem=problem,
                evaluations=tuple(told),
                reason=_reason(stopped, len(told), course.evaluations),
            )
        evaluation = executor.collect()
        running -= 1
        told.append(evaluation)
        if course.on_evaluation is not None:
            course.on_evaluation(evaluation)
        algorithm.tell(evaluation)
        failures = [*failures, evaluation] if evaluation.state == "failed" else []
        if len(failures) >= MAX_CONSECUTIVE_FAILURES:
            first = failures[0]
            raise SearchFailed(
                f"{len(failures)} evaluations in a row failed; the first, {first.architecture.to_json()}: "
                f"{first.failure_kind}: {first.failure_message}"
            )


class SerialExecutor:
    """One evaluation at a time, in this process."""

    def __init__(self, problem: Problem, evaluate: Evaluator) -> None:
        self._problem = problem
        self._evaluate = evaluate
        self._waiting: list[Architecture] = []

    def free(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, architecture: Architecture) -> None:
        self._waiting.append(architecture)

    def collect(self) -> Evaluation:
        architecture = self._waiting.pop(0)
        try:
            returned = self._evaluate(architecture)
        except Exception as error:  # noqa: BLE001 - anything a user's evaluator raises fails one evaluation
            return Evaluation.failed(architecture, "exception", f"{type(error).__name__}: {error}")
        return self._problem.judge(architecture, returned)


def _reason(stopped: bool, made: int, wanted: int) -> Reason:
    if made >= wanted:
        return "evaluations"
    return "stopped" if stopped else "exhausted"


def _check_course(problem: Problem, course: Course) -> None:
    if course.evaluations < 1:
        raise InvalidProblem(f"evaluations must be at least 1, got {course.evaluations}")
    seen: set[Architecture] = set()
    for evaluation in course.history:
        shown = evaluation.architecture.to_json()
        if evaluation.architecture in seen:
            raise InvalidProblem(f"the history holds {shown} twice; keep one evaluation an architecture")
        seen.add(evaluation.architecture)
        if not problem.space.contains(evaluation.architecture):
            raise InvalidProblem(f"the history holds {shown}, which is outside the search space")
        absent = (
            [name for name in (*problem.objectives, *problem.bounds) if name not in evaluation.values]
            if evaluation.state == "complete"
            else []
        )
        if absent:
            raise InvalidProblem(f"the evaluation of {shown} in the history lacks {', '.join(absent)}")
