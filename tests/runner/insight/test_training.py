"""Training as events tell it."""

from __future__ import annotations

from runner.insight.training import HEALTH, KINDS, PRECISION, ROLLBACK, training_of
from runner.stages import train


def check(step: int, score: float | None) -> tuple[str, dict[str, float | int | None]]:
    return HEALTH, {"step": step, "largest": score, "random": 0.2, "smallest": 0.3}


def test_the_kinds_are_those_that_the_stage_tells() -> None:
    assert KINDS == (train.PRECISION_EVENT, train.HEALTH_EVENT, train.ROLLBACK_EVENT)


def test_scores_by_step() -> None:
    found = training_of([(PRECISION, {"precision": "bf16"}), check(100, 0.5), check(200, None), ("note", {})])
    assert (found.precision, found.steps, found.rollbacks) == ("bf16", (100, 200), 0)
    assert found.series == {"largest": (0.5, None), "random": (0.2, 0.2), "smallest": (0.3, 0.3)}


def test_what_a_rollback_made_void_is_gone() -> None:
    back = (ROLLBACK, {"number": 1, "found_after": 300, "back_to": 100, "reason": "collapse"})
    told = [check(100, 0.5), check(200, 0.9), check(300, 0.9), back]
    assert training_of(told).steps == (100,)
    found = training_of([*told, check(200, 0.4)])
    assert (found.steps, found.series["largest"], found.rollbacks) == ((100, 200), (0.5, 0.4), 1)


def test_a_step_that_is_told_twice_counts_once() -> None:
    found = training_of([check(100, 0.5), check(200, 0.6), check(200, 0.6)])
    assert found.steps == (100, 200)


def test_before_training_there_is_nothing() -> None:
    found = training_of([])
    assert (found.precision, found.steps, found.rollbacks) == (None, (), 0)
    assert set(found.series) == {"largest", "random", "smallest"}
