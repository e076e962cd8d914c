"""What the loop does about lost attempts, late results and searches that were cut off."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from runner.search import (
    Course,
    Evaluation,
    Failure,
    FailureKind,
    InvalidProblem,
    Outcome,
    SearchFailed,
    SearchResult,
    SerialExecutor,
    algorithm_names,
    create_algorithm,
    pose,
    run,
)
from search_spaces import Architecture
from tests.runner.search.spaces import layered_space, measure, tiny_space

SPACE = layered_space()
TWO = {"error": "minimize", "cost": "minimize"}
LOST = Failure("worker_lost", "its process died")
Answer = Callable[[Architecture, int], Outcome | None]


def done(architecture: Architecture, attempt: int) -> Outcome:
    return Outcome(architecture=architecture, attempt=attempt, seconds=0.25, returned=measure(architecture))


def lost(architecture: Architecture, attempt: int, failure: Failure = LOST) -> Outcome:
    return Outcome(architecture=architecture, attempt=attempt, seconds=0.25, failure=failure)


class Scripted(AbstractContextManager["Scripted"]):
    """Answers as it is told, first in, first out; remembers what was submitted."""

    def __init__(self, answer: Answer = done, places: int = 1) -> None:
        self.answer, self.places = answer, places
        self.submitted: list[tuple[Architecture, int]] = []
        self.outcomes: list[Outcome | None] = []
        self.under_way = 0

    def __exit__(self, *_: object) -> None:
        self.close()

    def free(self) -> int:
        return self.places - self.under_way

    def submit(self, architecture: Architecture, attempt: int) -> None:
        self.submitted.append((architecture, attempt))
        self.outcomes.append(self.answer(architecture, attempt))
        self.under_way += 1

    def collect(self, timeout_s: float) -> Outcome | None:
        assert self.under_way, "the engine waits for nothing"
        outcome = self.outcomes.pop(0)
        self.under_way -= outcome is not None
        return outcome

    def close(self) -> None:
        self.outcomes.clear()


def go(executor: Scripted, *, algorithm: str = "random", evaluations: int = 6, **course: object) -> SearchResult:
    problem = pose(SPACE, TWO)
    whole = Course(evaluations=evaluations, **course)  # type: ignore[arg-type]
    return run(problem, create_algorithm(algorithm, problem, 4), executor, whole)


FIRST = go(Scripted(), evaluations=1).evaluations[0].architecture


def test_an_evaluation_says_how_long_it_took_and_at_which_attempt() -> None:
    (evaluation,) = go(Scripted(), evaluations=1).evaluations
    assert (evaluation.attempt, evaluation.duration_ms) == (1, 250.0)


@pytest.mark.parametrize(("kind", "attempts"), [("worker_lost", 3), ("out_of_memory", 2)])
def test_what_is_lost_is_tried_again_before_anything_else_and_then_set_aside(kind: FailureKind, attempts: int) -> None:
    failure = Failure(kind, "no luck")
    executor = Scripted(lambda a, n: lost(a, n, failure) if a == FIRST else done(a, n))
    result = go(executor)
    assert executor.submitted[: attempts + 1][:attempts] == [(FIRST, number) for number in range(1, attempts + 1)]
    assert [attempt for _, attempt in executor.submitted[attempts:]] == [1] * 5
    aside = result.evaluations[0]
    assert (aside.architecture, aside.failure_kind, aside.attempt) == (FIRST, kind, attempts)
    assert aside.failure_message == f"set aside after {attempts} attempts: no luck"
    assert len(result.evaluations) == 6


def test_an_attempt_that_succeeds_after_others_were_lost_counts_once() -> None:
    executor = Scripted(lambda a, n: lost(a, n) if n < 3 else done(a, n))
    result = go(executor)
    assert [(e.state, e.attempt) for e in result.evaluations] == [("complete", 3)] * 6
    assert result.evaluations == go(Scripted()).evaluations
    assert len(executor.submitted) == 18


@pytest.mark.parametrize("kind", ["exception", "time_limit"])
def test_other_failures_are_not_tried_again(kind: FailureKind) -> None:
    executor = Scripted(lambda a, n: lost(a, n, Failure(kind, "no")) if a == FIRST else done(a, n))
    assert go(executor).evaluations[0] == Evaluation.failed(FIRST, kind, "no")
    assert len(executor.submitted) == 6


def test_everything_lost_ends_the_search() -> None:
    with pytest.raises(SearchFailed, match=r"10 evaluations in a row failed.*worker_lost: set aside after 3 attempts"):
        go(Scripted(lost), evaluations=50)


def test_a_late_result_of_an_older_attempt_is_dropped() -> None:
    class Late(Scripted):
        """Reports the first attempt as lost, then hands in its result after all, with other values."""

        def submit(self, architecture: Architecture, attempt: int) -> None:
            super().submit(architecture, attempt)
            if (architecture, attempt) == (FIRST, 2):
                late = Outcome(architecture=FIRST, attempt=1, seconds=9.0, returned={"error": 0.0, "cost": 0.0})
                self.outcomes.insert(0, late)
                self.under_way += 1

    executor = Late(lambda a, n: lost(a, n) if (a, n) == (FIRST, 1) else done(a, n))
    result = go(executor)
    assert result.evaluations == go(Scripted()).evaluations
    assert [e.attempt for e in result.evaluations] == [2, 1, 1, 1, 1, 1]


def test_a_result_that_comes_twice_counts_once() -> None:
    class Twice(Scripted):
        def submit(self, architecture: Architecture, attempt: int) -> None:
            super().submit(architecture, attempt)
            self.outcomes.append(done(architecture, attempt))
            self.under_way += 1

    result = go(Twice(places=4))
    assert len({e.architecture for e in result.evaluations}) == len(result.evaluations) == 6


def test_every_attempt_is_announced_before_it_starts() -> None:
    executor = Scripted(lambda a, n: lost(a, n) if n == 1 else done(a, n))
    announced: list[tuple[Architecture, int, int]] = []
    go(executor, on_submit=lambda a, n: announced.append((a, n, len(executor.submitted))))
    assert [(a, n) for a, n, _ in announced] == executor.submitted
    assert [before for _, _, before in announced] == list(range(12))


def test_waiting_is_announced_about_once_a_second_and_stop_is_asked_meanwhile() -> None:
    class Slow(Scripted):
        def collect(self, timeout_s: float) -> Outcome | None:
            if time.monotonic() - began < 2.5:
                time.sleep(min(timeout_s, 0.2))
                return None
            return super().collect(timeout_s)

    began = time.monotonic()
    waits: list[float] = []
    asked: list[float] = []
    go(
        Slow(),
        evaluations=1,
        on_wait=lambda: waits.append(time.monotonic()),
        stop=lambda: bool(asked.append(time.monotonic())),
    )
    assert len(waits) == 2
    assert waits[1] - waits[0] >= 0.9
    assert len(asked) > 5


def test_stopping_starts_nothing_not_even_another_attempt() -> None:
    executor = Scripted(lost)
    result = go(executor, stop=lambda: bool(executor.submitted))
    assert executor.submitted == [(FIRST, 1)]
    assert (result.reason, result.evaluations) == ("stopped", ())


class TestPending:
    """Under way when a former run was cut off."""

    def test_it_goes_first_as_the_next_attempt_and_counts(self) -> None:
        others = [e.architecture for e in go(Scripted()).evaluations[3:5]]
        executor = Scripted(places=2)
        result = go(executor, pending=((others[0], 1), (others[1], 2)))
        assert executor.submitted[:2] == [(others[0], 2), (others[1], 3)]
        assert len(result.evaluations) == len({e.architecture for e in result.evaluations}) == 6

    def test_it_never_exceeds_the_budget(self) -> None:
        pending = tuple((e.architecture, 1) for e in go(Scripted()).evaluations)
        executor = Scripted(places=4)
        assert len(go(executor, evaluations=3, pending=pending).evaluations) == 3
        assert len(executor.submitted) == 3

    def test_spent_attempts_set_it_aside_without_another(self) -> None:
        made: list[Evaluation] = []
        executor = Scripted()
        result = go(executor, pending=((FIRST, 3),), on_evaluation=made.append)
        message = "set aside after 3 attempts: each was cut off before it ended"
        assert result.evaluations[0] == made[0] == Evaluation.failed(FIRST, "worker_lost", message)
        assert made[0].attempt == 3
        assert FIRST not in [architecture for architecture, _ in executor.submitted]
        assert len(result.evaluations) == 6

    @pytest.mark.parametrize(
        ("course", "message"),
        [
            ({"pending": ((FIRST, 1), (FIRST, 1))}, "twice"),
            ({"pending": ((FIRST, 1),), "history": (Evaluation.failed(FIRST, "exception", "no"),)}, "twice"),
            ({"pending": ((tiny_space().smallest(), 1),)}, "outside the search space"),
            ({"pending": ((FIRST, 0),)}, "got 0"),
        ],
    )
    def test_impossible_ones_are_refused(self, course: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidProblem, match=message):
            go(Scripted(), **course)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", algorithm_names())
def test_a_search_cut_off_anywhere_ends_as_if_it_had_not_been(algorithm: str) -> None:
    """At every evaluation, at every other one a second time while it runs again."""
    budget = 24
    problem = pose(SPACE, TWO)
    whole = go(Scripted(), algorithm=algorithm, evaluations=budget).evaluations

    def resumed(history: list[Evaluation], pending: dict[Architecture, int], *, cut: int | None) -> None:
        """Go on from the record, which it changes; cut off once so many evaluations are in it."""

        def evaluate(architecture: Architecture) -> dict[str, float]:
            if len(history) == cut:
                raise KeyboardInterrupt
            return measure(architecture)

        def settle(evaluation: Evaluation) -> None:
            del pending[evaluation.architecture]
            history.append(evaluation)

        course = Course(
            evaluations=budget,
            history=tuple(history),
            pending=tuple(pending.items()),
            on_submit=pending.__setitem__,
            on_evaluation=settle,
        )
        with SerialExecutor(evaluate) as executor:
            run(problem, create_algorithm(algorithm, problem, 4), executor, course)

    for cut in range(budget):
        cuts = 1 + cut % 2
        history, pending = list(whole[:cut]), {}
        for _ in range(cuts):
            with pytest.raises(KeyboardInterrupt):
                resumed(history, pending, cut=cut)
            assert len(pending) == 1
        resumed(history, pending, cut=None)
        assert history == list(whole)
        assert pending == {}
        assert [e.attempt for e in history] == [1] * cut + [cuts + 1] + [1] * (budget - cut - 1)
