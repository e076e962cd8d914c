"""Evaluations with shared weights: reserved before they start, scored by the study's workers, settled in the record.

Owns how an evaluation of the engine becomes a row, and that what an earlier run of the study left under way is taken
up.  What is evaluated is the algorithm's business, who scores it that of the executor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runner.front import INHERITED, best_values
from runner.search.engine import Course
from runner.search.engine import run as run_engine
from runner.search.evaluation import Evaluation
from runner.store.records import Failure, NewEvaluation, NewReservation, ValueRecord
from runner.validation import computed_costs
from search_spaces import Architecture

if TYPE_CHECKING:
    from runner.search.problem import Problem
    from runner.search.protocol import Algorithm
    from runner.search.result import SearchResult
    from runner.store.records import EvaluationRecord
    from runner.work import StudyWork

LEASE_SECONDS = 90.0
RENEW_SECONDS = 30.0


def evaluate(
    work: StudyWork,
    problem: Problem,
    algorithm: Algorithm,
    *,
    origin: str,
    evaluations: int,
    history: Sequence[EvaluationRecord],
    more_values: Callable[[Architecture], Sequence[ValueRecord]] = lambda architecture: (),
) -> SearchResult:
    """Evaluate what `algorithm` proposes until `evaluations` are made, the history included, or `work.stop` says so.

    `more_values` adds to the scores and computed costs of each row.
    """
    return _Campaign(work, problem, origin, evaluations, more_values).run(algorithm, history)


class _Campaign:
    def __init__(
        self,
        work: StudyWork,
        problem: Problem,
        origin: str,
        evaluations: int,
        more_values: Callable[[Architecture], Sequence[ValueRecord]],
    ) -> None:
        self._work, self._problem, self._origin = work, problem, origin
        self._evaluations, self._more_values = evaluations, more_values
        self._renewed = time.monotonic()
        self._made = 0

    def run(self, algorithm: Algorithm, history: Sequence[EvaluationRecord]) -> SearchResult:
        work = self._work
        self._made = len(history)
        # The lock of the study's folder is ours, so whoever reserved these is dead.
        left = work.commit(lambda: work.repository.take_over(work.study.id, work.owner))
        course = Course(
            evaluations=self._evaluations,
            history=tuple(_told(record) for record in history),
            pending=tuple((Architecture.from_json(each.architecture_json), each.attempt) for each in left),
            on_submit=self._reserve,
            on_evaluation=self._settle,
            on_wait=self._renew,
            stop=work.stop,
        )
        return run_engine(self._problem, algorithm, work.executor, course)

    def _reserve(self, architecture: Architecture, attempt: int) -> None:
        work = self._work
        wanted = NewReservation(
            digest=architecture.digest,
            architecture_json=architecture.to_json(),
            fidelity=INHERITED,
            seed=work.spec.seed,
            origin=self._origin,
        )
        reserved = work.commit(
            lambda: work.repository.reserve(
                work.study.id, wanted, owner=work.owner, lease_seconds=LEASE_SECONDS, budget=self._evaluations
            )
        )
        assert reserved.attempt == attempt, "the engine and the record count attempts differently"

    def _renew(self) -> None:
        if time.monotonic() - self._renewed >= RENEW_SECONDS:
            work = self._work
            work.commit(lambda: work.repository.renew(work.study.id, work.owner, LEASE_SECONDS))
            self._renewed = time.monotonic()

    def _settle(self, evaluation: Evaluation) -> None:
        work, architecture = self._work, evaluation.architecture
        failure = None
        if evaluation.failure_kind is not None:
            failure = Failure(kind=evaluation.failure_kind, message=evaluation.failure_message or "")
            work.reporter.note(f"{architecture.digest} failed ({failure.kind}): {failure.message}")
        row = NewEvaluation(
            digest=architecture.digest,
            architecture_json=architecture.to_json(),
            fidelity=INHERITED,
            seed=work.spec.seed,
            origin=self._origin,
            values=tuple(self._values(evaluation)) if failure is None else (),
            failure=failure,
            duration_ms=evaluation.duration_ms,
        )
        work.commit(lambda: work.repository.settle(work.study.id, work.owner, evaluation.attempt, row))
        self._made += 1
        shown = [name for name in self._problem.objectives if name in evaluation.values]
        detail = ", ".join(f"{name} {evaluation.values[name]:.4g}" for name in shown)
        work.reporter.progress(self._made, self._evaluations, detail)

    def _values(self, evaluation: Evaluation) -> list[ValueRecord]:
        work = self._work
        values = [
            ValueRecord(metric=name, value=evaluation.values[name], provenance="inherited")
            for name in work.plan.task.metrics
        ]
        values += [
            ValueRecord(metric=name, value=value, provenance="computed")
            for name, value in computed_costs(evaluation.architecture, work.plan).items()
        ]
        return [*values, *self._more_values(evaluation.architecture)]


def _told(record: EvaluationRecord) -> Evaluation:
    architecture = Architecture.from_json(record.architecture_json)
    if record.failure is not None:
        return Evaluation.failed(architecture, record.failure.kind, record.failure.message)
    return Evaluation.complete(architecture, {name: value.value for name, value in best_values(record.values).items()})
