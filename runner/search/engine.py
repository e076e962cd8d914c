"""Owns the loop of a search: ask, evaluate, record, tell, until the budget or the space is spent.

The loop knows an algorithm and an executor and nothing of either. An executor may run several evaluations at
once: results are told in the order of completion, and the algorithm is asked while others are pending. What is
lost through no fault of its architecture is tried again; an architecture that keeps being lost is set aside.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from runner.parallel.resources import Resources
from runner.parallel.serial import SerialExecutor
from runner.search.errors import InvalidProblem, SearchFailed
from runner.search.evaluation import Evaluation
from runner.search.problem import Bound, CostFunction, Problem, pose
from runner.search.registry import create_algorithm
from runner.search.result import Reason, SearchResult

if TYPE_CHECKING:
    from runner.search.outcome import FailureKind, Outcome
    from runner.search.protocol import Algorithm
    from search_spaces import Architecture, SearchSpace

Evaluator = Callable[["Architecture"], Mapping[str, float]]
MAX_CONSECUTIVE_FAILURES = 10
# How many attempts an architecture gets in all. Failures of other kinds would only happen again.
ATTEMPTS: Mapping[FailureKind, int] = {"worker_lost": 3, "out_of_memory": 2}
_WAIT_SECONDS = 1.0


class Executor(AbstractContextManager["Executor"], Protocol):
    """Runs evaluations; the engine never has more under way than there are free places.

    It knows no problem: what an evaluator returned is handed on as it is. As a context manager it closes itself.
    """

    def free(self) -> int:
        """How many more evaluations may be submitted now."""
        ...

    def submit(self, architecture: Architecture, attempt: int) -> None:
        """Start, or note, one attempt at an evaluation."""
        ...

    def collect(self, timeout_s: float) -> Outcome | None:
        """Wait for any one of the attempts under way; None where none ended in about that time."""
        ...

    def close(self) -> None:
        """Give up what is under way and let go of all resources; closing again changes nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far a search goes, what it continues, and who hears of it."""

    evaluations: int
    history: tuple[Evaluation, ...] = ()
    # Under way when a former run was cut off, each with the attempts begun at it. They count as evaluations.
    pending: tuple[tuple[Architecture, int], ...] = ()
    on_submit: Callable[[Architecture, int], None] | None = None  # before an attempt starts: time to reserve it
    on_evaluation: Callable[[Evaluation], None] | None = None
    on_wait: Callable[[], None] | None = None  # about once a second, as far as the executor lets go: renew leases
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
    workers: int | Literal["serial"] = "serial",
    resources: Resources = Resources(),  # noqa: B008 - a frozen value
    time_limit_s: float | None = None,
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
    stop           asked between evaluations; True ends the search once those under way are done
    workers        "serial": one after the other in this process; a number: so many at once, in processes of
                   their own (Ray). `evaluate` is then sent to each of them by cloudpickle
    resources      what one worker may use
    time_limit_s   an evaluation that takes longer fails; needs workers, since nothing else can be ended
    """
    problem = pose(space, objectives, costs=costs, bounds=bounds, candidates=candidates)
    course = Course(evaluations=evaluations, history=tuple(history), on_evaluation=on_evaluation, stop=stop)
    proposer = create_algorithm(algorithm, problem, seed)
    with _executor(evaluate, workers, resources, time_limit_s) as executor:
        return run(problem, proposer, executor, course)


def run(problem: Problem, algorithm: Algorithm, executor: Executor, course: Course) -> SearchResult:
    """The loop itself, for any algorithm and executor. The executor is left open.

    With one place in the executor the result depends on the algorithm alone, wherever the search was cut off:
    what was under way then goes first.
    """
    _check_course(problem, course)
    return _Run(problem, algorithm, executor, course).to_the_end()


class _Run:
    """One run of the loop: what was told, what is under way, what waits for another attempt."""

    def __init__(self, problem: Problem, algorithm: Algorithm, executor: Executor, course: Course) -> None:
        self._problem, self._algorithm, self._executor, self._course = problem, algorithm, executor, course
        self._told = list(course.history)
        self._under_way: dict[Architecture, int] = {}  # and the attempt that counts
        self._again: deque[tuple[Architecture, int]] = deque()  # and the number of the next attempt
        self._failures: list[Evaluation] = []  # in a row, in this run: a repaired evaluator starts afresh
        self._waited_at = time.monotonic()

    def to_the_end(self) -> SearchResult:
        for evaluation in self._told:
            self._algorithm.tell(evaluation)
        self._take_up(self._course.pending)
        while True:
            stopped = self._course.stop is not None and self._course.stop()
            if not stopped:
                self._submit()
            if not self._under_way:
                return SearchResult(
                    problem=self._problem,
                    evaluations=tuple(self._told),
                    reason=_reason(stopped, len(self._told), self._course.evaluations),
                )
            outcome = self._executor.collect(_WAIT_SECONDS)
            if outcome is not None and self._under_way.get(outcome.architecture) == outcome.attempt:
                del self._under_way[outcome.architecture]
                self._settle(outcome)
            self._wait()

    def _take_up(self, pending: Iterable[tuple[Architecture, int]]) -> None:
        """What a former run left under way: noted first, so that the algorithm knows all of it."""
        pending = list(pending)
        for architecture, _ in pending:
            self._algorithm.expect(architecture)
        for architecture, attempts in pending:
            if attempts < ATTEMPTS["worker_lost"]:
                self._again.append((architecture, attempts + 1))
            elif len(self._told) < self._course.evaluations:
                message = f"set aside after {attempts} attempts: each was cut off before it ended"
                self._record(replace(Evaluation.failed(architecture, "worker_lost", message), attempt=attempts))

    def _submit(self) -> None:
        """Fill the free places: repeated attempts first, then what the algorithm proposes."""
        while self._again and self._room() > 0:
            self._start(*self._again.popleft())
        room = self._room()
        for architecture in self._algorithm.ask(room) if room > 0 else ():
            self._start(architecture, 1)

    def _room(self) -> int:
        """How many may start now; what waits for another attempt is started before anything is proposed."""
        committed = len(self._told) + len(self._under_way)
        return min(self._executor.free(), self._course.evaluations - committed)

    def _start(self, architecture: Architecture, attempt: int) -> None:
        if self._course.on_submit is not None:
            self._course.on_submit(architecture, attempt)
        self._executor.submit(architecture, attempt)
        self._under_way[architecture] = attempt

    def _settle(self, outcome: Outcome) -> None:
        """Record what came of an attempt, or plan another one."""
        failure = outcome.failure
        if failure is None:
            evaluation = self._problem.judge(outcome.architecture, outcome.returned)
        elif failure.kind not in ATTEMPTS:
            evaluation = Evaluation.failed(outcome.architecture, failure.kind, failure.message)
        elif outcome.attempt < ATTEMPTS[failure.kind]:
            self._again.append((outcome.architecture, outcome.attempt + 1))
            return
        else:
            message = f"set aside after {outcome.attempt} attempts: {failure.message}"
            evaluation = Evaluation.failed(outcome.architecture, failure.kind, message)
        self._record(replace(evaluation, attempt=outcome.attempt, duration_ms=1000 * outcome.seconds))

    def _record(self, evaluation: Evaluation) -> None:
        """Hand an evaluation on; too many failures in a row end the search."""
        self._told.append(evaluation)
        if self._course.on_evaluation is not None:
            self._course.on_evaluation(evaluation)
        self._algorithm.tell(evaluation)
        self._failures = [*self._failures, evaluation] if evaluation.state == "failed" else []
        if len(self._failures) >= MAX_CONSECUTIVE_FAILURES:
            first = self._failures[0]
            raise SearchFailed(
                f"{len(self._failures)} evaluations in a row failed; the first, {first.architecture.to_json()}: "
                f"{first.failure_kind}: {first.failure_message}"
            )

    def _wait(self) -> None:
        now = time.monotonic()
        if self._course.on_wait is not None and now - self._waited_at >= _WAIT_SECONDS:
            self._waited_at = now
            self._course.on_wait()


def _executor(evaluate: Evaluator, workers: object, resources: Resources, time_limit_s: float | None) -> Executor:
    if workers == "serial":
        if time_limit_s is not None:
            raise InvalidProblem(
                f"time_limit_s={time_limit_s} needs workers: an evaluation in this process cannot be ended. "
                "Set workers=1 or more, or time_limit_s=None"
            )
        return SerialExecutor(evaluate)
    if not isinstance(workers, int) or isinstance(workers, bool):
        raise InvalidProblem(f'workers must be "serial" or a whole number of at least 1, got {workers!r}')
    from runner.parallel.ray_pool import RayPool  # imports Ray, which takes a while

    return RayPool(_Given(evaluate), workers=workers, resources=resources, time_limit_s=time_limit_s)


@dataclass(frozen=True)
class _Given:
    """Makes the evaluator that was given, on any worker."""

    evaluate: Evaluator

    def __call__(self, arrays: Mapping[str, object]) -> Evaluator:
        return self.evaluate


def _reason(stopped: bool, made: int, wanted: int) -> Reason:
    if made >= wanted:
        return "evaluations"
    return "stopped" if stopped else "exhausted"


def _check_course(problem: Problem, course: Course) -> None:
    if course.evaluations < 1:
        raise InvalidProblem(f"evaluations must be at least 1, got {course.evaluations}")
    seen: set[Architecture] = set()
    begun = [evaluation.architecture for evaluation in course.history]
    for architecture in (*begun, *(architecture for architecture, _ in course.pending)):
        shown = architecture.to_json()
        if architecture in seen:
            raise InvalidProblem(f"the history and what is pending hold {shown} twice; keep one entry an architecture")
        seen.add(architecture)
        if not problem.space.contains(architecture):
            raise InvalidProblem(f"the history or what is pending holds {shown}, which is outside the search space")
    for architecture, attempts in course.pending:
        if attempts < 1:
            raise InvalidProblem(f"{architecture.to_json()} is pending, so it has had an attempt; got {attempts}")
    for evaluation in course.history:
        if evaluation.state == "complete":
            needed = (*problem.objectives, *problem.bounds)
            if absent := [name for name in needed if name not in evaluation.values]:
                shown = evaluation.architecture.to_json()
                raise InvalidProblem(f"the evaluation of {shown} in the history lacks {', '.join(absent)}")
