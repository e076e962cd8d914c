"""The loop of a search, with evaluators and executors that do what they should not."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import AbstractContextManager

import pytest

from runner.search import (
    Course,
    Evaluation,
    InvalidProblem,
    Outcome,
    SearchError,
    SearchFailed,
    SearchResult,
    create_algorithm,
    pose,
    run,
)
from runner.search.engine import search
from search_spaces import Architecture
from tests.runner.search.spaces import layered_space, measure, tiny_space

SPACE = tiny_space()
ONE = {"error": "minimize"}
EVERYTHING = list(SPACE.enumerate())


def simple(architecture: Architecture) -> dict[str, float]:
    return {"error": float(EVERYTHING.index(architecture))}


def random_search(evaluate: object = simple, **options: object) -> SearchResult:
    return search(SPACE, evaluate, ONE, algorithm="random", **options)  # type: ignore[arg-type]


def test_each_evaluation_is_handed_on_before_the_next_begins() -> None:
    events: list[str] = []

    def evaluate(architecture: Architecture) -> dict[str, float]:
        events.append(f"evaluate {architecture.digest}")
        return simple(architecture)

    result = random_search(
        evaluate, evaluations=3, on_evaluation=lambda e: events.append(f"commit {e.architecture.digest}")
    )
    digests = [evaluation.architecture.digest for evaluation in result.evaluations]
    assert events == [f"{verb} {digest}" for digest in digests for verb in ("evaluate", "commit")]


def test_stop_is_asked_between_evaluations() -> None:
    made: list[Evaluation] = []
    result = random_search(evaluations=9, on_evaluation=made.append, stop=lambda: len(made) >= 4)
    assert (result.reason, len(result.evaluations)) == ("stopped", 4)
    assert random_search(stop=lambda: True).evaluations == ()


def test_an_exception_fails_one_evaluation_and_says_why() -> None:
    def evaluate(architecture: Architecture) -> dict[str, float]:
        if architecture["a"] == 2:
            raise RuntimeError("out of luck")
        return simple(architecture)

    result = random_search(evaluate)
    failed = [evaluation for evaluation in result.evaluations if evaluation.state == "failed"]
    assert len(failed) == 4
    assert {(e.failure_kind, e.failure_message) for e in failed} == {("exception", "RuntimeError: out of luck")}
    assert result.reason == "exhausted"


def test_an_interrupt_passes() -> None:
    def evaluate(architecture: Architecture) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        random_search(evaluate)


def test_ten_failures_in_a_row_end_the_search_with_the_first_cause() -> None:
    made: list[Evaluation] = []

    def evaluate(architecture: Architecture) -> dict[str, float]:
        if len(made) == 1:
            return simple(architecture)
        raise ValueError(f"failure {len(made)}")

    with pytest.raises(SearchFailed, match=r"10 evaluations in a row failed; the first, .*: ValueError: failure 2"):
        random_search(evaluate, on_evaluation=made.append)
    assert len(made) == 12
    assert all(evaluation.state == "failed" for evaluation in made[2:])


def test_the_history_counts_and_is_not_repeated() -> None:
    calls: list[Architecture] = []

    def evaluate(architecture: Architecture) -> dict[str, float]:
        calls.append(architecture)
        return simple(architecture)

    history = [Evaluation.complete(EVERYTHING[0], {"error": 0.0})]
    history.append(Evaluation.failed(EVERYTHING[1], "exception", "before"))
    result = random_search(evaluate, evaluations=5, history=history)
    assert len(calls) == 3
    assert not {EVERYTHING[0], EVERYTHING[1]} & set(calls)
    assert result.evaluations[:2] == tuple(history)
    assert random_search(evaluate, evaluations=2, history=history).reason == "evaluations"
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluations": 0}, "at least 1, got 0"),
        ({"history": [Evaluation.complete(EVERYTHING[0], {"error": 1.0})] * 2}, "twice"),
        ({"history": [Evaluation.complete(Architecture({"a": 1}), {"error": 1.0})]}, "outside the search space"),
        ({"history": [Evaluation.complete(EVERYTHING[0], {"eror": 1.0})]}, "lacks error"),
    ],
)
def test_impossible_courses_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidProblem, match=message):
        random_search(**options)


class Jumbled(AbstractContextManager["Jumbled"]):
    """Holds several evaluations at once and finishes them in an order of its own."""

    def __init__(self, places: int) -> None:
        self.rng = random.Random(0)
        self.under_way: list[tuple[Architecture, int]] = []
        self.places = places
        self.most = 0

    def __exit__(self, *_: object) -> None:
        self.close()

    def free(self) -> int:
        return self.places - len(self.under_way)

    def submit(self, architecture: Architecture, attempt: int) -> None:
        self.under_way.append((architecture, attempt))
        self.most = max(self.most, len(self.under_way))

    def collect(self, timeout_s: float) -> Outcome | None:
        architecture, attempt = self.under_way.pop(self.rng.randrange(len(self.under_way)))
        return Outcome(architecture=architecture, attempt=attempt, seconds=0.5, returned=measure(architecture))

    def close(self) -> None:
        self.under_way.clear()


@pytest.mark.parametrize("algorithm", ["random", "nsga2", "surrogate"])
def test_an_executor_with_several_places_gets_distinct_work_within_the_budget(algorithm: str) -> None:
    problem = pose(layered_space(), {"error": "minimize", "cost": "minimize"})
    executor = Jumbled(3)
    result = run(problem, create_algorithm(algorithm, problem, 0), executor, Course(evaluations=40))
    assert len({evaluation.architecture for evaluation in result.evaluations}) == 40
    assert executor.most == 3
    assert executor.under_way == []


def test_stopping_waits_for_what_is_under_way() -> None:
    problem = pose(layered_space(), {"error": "minimize", "cost": "minimize"})
    executor, made = Jumbled(3), []
    course = Course(evaluations=40, on_evaluation=made.append, stop=lambda: len(made) >= 5)
    result = run(problem, create_algorithm("random", problem, 0), executor, course)
    assert len(result.evaluations) == len(made) == 7
    assert result.reason == "stopped"


class TestResult:
    def result(self) -> SearchResult:
        values = [(1.0, 0.9), (2.0, 0.7), (3.0, 0.95), (2.0, 0.7), (0.5, 0.1)]
        evaluations = [
            Evaluation.complete(a, {"latency": x, "accuracy": y}) for a, (x, y) in zip(EVERYTHING, values, strict=False)
        ]
        problem = pose(SPACE, {"latency": "minimize", "accuracy": "maximize"}, bounds={"accuracy": (0.5, None)})
        evaluations.append(Evaluation.failed(EVERYTHING[-1], "exception", "why"))
        return SearchResult(problem=problem, evaluations=tuple(evaluations), reason="evaluations")

    def test_the_front_holds_feasible_points_in_order(self) -> None:
        front = [(e.values["latency"], e.values["accuracy"]) for e in self.result().front]
        assert front == [(1.0, 0.9), (3.0, 0.95)]

    def test_the_hypervolume_is_in_the_units_of_the_objectives(self) -> None:
        volume = self.result().hypervolume({"accuracy": 0.5, "latency": 4.0})
        assert volume == pytest.approx(3.0 * 0.4 + 1.0 * 0.05)
        with pytest.raises(SearchError, match=r"names latency; it needs .*: latency, accuracy"):
            self.result().hypervolume({"latency": 4.0})

    def test_the_knee_is_a_point_of_the_front(self) -> None:
        assert self.result().knee in self.result().front

    def test_nothing_feasible_has_no_knee(self) -> None:
        empty = SearchResult(problem=self.result().problem, evaluations=(), reason="stopped")
        assert empty.front == ()
        assert empty.hypervolume({"accuracy": 0.5, "latency": 4.0}) == 0.0
        with pytest.raises(SearchError, match="front is empty"):
            _ = empty.knee


def test_the_package_is_cheap_to_import_and_can_be_called() -> None:
    program = (
        "import sys, runner.search\n"
        "heavy = {'numpy', 'scipy', 'optuna', 'torch', 'ray'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from runner.search.engine import search\n"
        "import search_spaces as s\n"
        "space = s.SearchSpace({'a': s.Categorical(1, 2)})\n"
        "result = runner.search(space, lambda a: {'error': a['a']}, {'error': 'minimize'})\n"
        "assert result.front[0].values['error'] == 1\n"
        "assert not {'optuna', 'torch', 'ray'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
