"""Questions that make sense are kept as asked; the others are refused with a remedy."""

from __future__ import annotations

import math
import pickle

import pytest

from runner.search.errors import InvalidProblem
from runner.search.evaluation import Evaluation
from runner.search.problem import pose
from search_spaces import Architecture
from tests.runner.search.spaces import tiny_space

SPACE = tiny_space()
FIRST, SECOND = SPACE.smallest(), SPACE.largest()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": {}}, "1 to 6 objectives, got 0"),
        ({"objectives": {str(i): "minimize" for i in range(7)}}, "1 to 6 objectives, got 7"),
        ({"objectives": {"error": "minimise"}}, "unknown goal 'minimise' for the objective 'error'; allowed: min"),
        ({"objectives": [("error", "minimize"), ("error", "maximize")]}, "both minimized and maximized"),
        ({"objectives": {"error": ("minimize", "maximize")}}, "both minimized and maximized"),
        ({"bounds": {"latency": (None, 2.0)}}, "'latency', which is neither .* known: error, macs"),
        ({"bounds": {"error": (2.0, 1.0)}}, "at least 2.0 and at most 1.0"),
        ({"bounds": {"error": 2.0}}, "must be a pair"),
        ({"bounds": {"error": (None, math.nan)}}, "not a number"),
        ({"costs": {"macs": 3.0}}, "must be a function"),
        ({"candidates": []}, "pool of candidates is empty"),
        ({"candidates": [FIRST, Architecture({"a": 9})]}, r'candidate {"a":9} is outside .* a, b, c'),
        ({"candidates": [{"a": 1}]}, "outside the search space"),
    ],
)
def test_questions_without_an_answer_are_refused(options: dict[str, object], message: str) -> None:
    given = {"objectives": {"error": "minimize"}, "costs": {"macs": lambda _: 1.0}, **options}
    with pytest.raises(InvalidProblem, match=message):
        pose(SPACE, **given)  # type: ignore[arg-type]  # wrong types are among what is tested


def test_duplicates_in_the_pool_count_once() -> None:
    assert pose(SPACE, {"error": "minimize"}, candidates=[SECOND, FIRST, SECOND]).candidates == (SECOND, FIRST)


def test_signs_turn_with_the_goal() -> None:
    problem = pose(SPACE, {"error": "minimize", "accuracy": "maximize"})
    assert problem.oriented({"accuracy": 0.5, "error": 2.0, "else": 1.0}) == (2.0, -0.5)


def test_violations_add_up_and_limits_are_included() -> None:
    bounds = {"error": (1.0, 2.0), "macs": (None, 10.0)}
    problem = pose(SPACE, {"error": "minimize"}, costs={"macs": lambda _: 1.0}, bounds=bounds)
    assert problem.violation({"error": 2.0, "macs": 10.0}) == 0.0
    assert problem.violation({"error": 0.5, "macs": 13.0}) == 3.5
    assert problem.feasible(Evaluation.complete(FIRST, {"error": 1.0, "macs": -5.0}))
    assert not problem.feasible(Evaluation.failed(FIRST, "exception", "why"))


def test_costs_are_computed_once_and_must_be_finite() -> None:
    calls: list[Architecture] = []

    def count(architecture: Architecture) -> float:
        calls.append(architecture)
        return 1.0 if architecture == FIRST else math.inf

    problem = pose(SPACE, {"error": "minimize"}, costs={"macs": count})
    assert problem.costs_of(FIRST) == problem.costs_of(FIRST) == {"macs": 1.0}
    assert calls == [FIRST]
    with pytest.raises(InvalidProblem, match="'macs' must be finite for every architecture, got inf"):
        problem.costs_of(SECOND)


def test_measured_metrics_are_objectives_and_bounded_ones_without_costs() -> None:
    problem = pose(SPACE, {"error": "minimize", "macs": "minimize"}, costs={"macs": lambda _: 1.0})
    assert problem.measured_metrics == ("error",)


class TestJudge:
    problem = pose(SPACE, {"error": "minimize", "macs": "minimize"}, costs={"macs": lambda _: 7.0})

    def test_computed_costs_join_what_was_returned(self) -> None:
        evaluation = self.problem.judge(FIRST, {"error": 1, "macs": 3.0, "extra": 2.5, "note": "text"})  # type: ignore[dict-item]
        assert evaluation == Evaluation.complete(FIRST, {"error": 1.0, "macs": 7.0, "extra": 2.5})

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "high", None])
    def test_values_that_are_no_finite_numbers_fail(self, value: object) -> None:
        evaluation = self.problem.judge(FIRST, {"error": value})  # type: ignore[dict-item]
        assert (evaluation.state, evaluation.failure_kind) == ("failed", "non_finite")
        assert repr(value) in str(evaluation.failure_message)
        assert evaluation.values == {}

    def test_missing_metrics_fail_and_name_what_came_instead(self) -> None:
        evaluation = self.problem.judge(FIRST, {"eror": 1.0})
        assert evaluation.failure_kind == "missing_metric"
        assert evaluation.failure_message == "the evaluator returned no 'error'; it returned ['eror']"

    def test_something_that_is_no_mapping_fails(self) -> None:
        assert self.problem.judge(FIRST, None).failure_kind == "exception"  # type: ignore[arg-type]

    def test_metrics_that_nobody_asked_for_may_be_nan(self) -> None:
        assert self.problem.judge(FIRST, {"error": 1.0, "extra": math.nan}).values == {"error": 1.0, "macs": 7.0}


class TestEvaluation:
    def test_it_is_a_frozen_value_that_can_be_pickled(self) -> None:
        values = {"error": 1.0}
        evaluation = Evaluation.complete(FIRST, values)
        values["error"] = 2.0
        assert evaluation.values == {"error": 1.0}
        with pytest.raises(TypeError):
            evaluation.values["error"] = 3.0  # type: ignore[index]
        assert pickle.loads(pickle.dumps(evaluation)) == evaluation

    def test_only_failures_have_a_kind(self) -> None:
        with pytest.raises(ValueError, match="failure_kind"):
            Evaluation(architecture=FIRST, state="failed")
        with pytest.raises(ValueError, match="failure_kind"):
            Evaluation(architecture=FIRST, state="complete", failure_kind="exception")
        with pytest.raises(ValueError, match="'complete' or 'failed'"):
            Evaluation(architecture=FIRST, state="running")  # type: ignore[arg-type]
