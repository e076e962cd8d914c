"""The front as every reader sees it: precedence of provenances, bounds, and choosing points."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runner.errors import NotFound, SpecError
from runner.front import INHERITED, Front, best_values, choose, choose_one, compute_front
from runner.store.records import EvaluationRecord, Failure, Provenance, ValueRecord
from search_spaces import Architecture

GOALS = {"error": "minimize", "latency_ms": "minimize"}


def value(metric: str, number: float, provenance: Provenance = "inherited") -> ValueRecord:
    return ValueRecord(metric=metric, value=number, provenance=provenance)


def record(
    number: int, *values: ValueRecord, fidelity: str = INHERITED, failure: Failure | None = None
) -> EvaluationRecord:
    architecture = Architecture({"depth": number})
    return EvaluationRecord(
        id=number if fidelity == INHERITED else 100 + number,
        study_id="s",
        sequence=number,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        digest=architecture.digest,
        architecture_json=architecture.to_json(),
        fidelity=fidelity,
        seed=0,
        origin="search",
        values=values,
        failure=failure,
    )


def depths(front: Front) -> list[object]:
    return [point.architecture["depth"] for point in front.points]


def test_dominated_points_are_others() -> None:
    records = [
        record(1, value("error", 0.1), value("latency_ms", 3.0)),
        record(2, value("error", 0.2), value("latency_ms", 1.0)),
        record(3, value("error", 0.2), value("latency_ms", 2.0)),
    ]
    front = compute_front(records, GOALS, {})
    assert depths(front) == [1, 2]
    assert [point.architecture["depth"] for point in front.others] == [3]
    assert front.knee in front.points


def test_maximized_objectives_turn_around() -> None:
    records = [record(1, value("accuracy", 0.9)), record(2, value("accuracy", 0.8))]
    assert depths(compute_front(records, {"accuracy": "maximize"}, {})) == [1]


def test_bounds_take_points_off_the_front() -> None:
    records = [
        record(1, value("error", 0.1), value("latency_ms", 3.0)),
        record(2, value("error", 0.2), value("latency_ms", 1.0)),
    ]
    front = compute_front(records, GOALS, {"latency_ms": (None, 2.0)})
    assert depths(front) == [2]
    assert compute_front(records, GOALS, {"latency_ms": (None, 0.5)}).knee is None


def test_what_a_comparison_trained_alone_is_in_no_front() -> None:
    records = [record(1, value("error", 0.2)), record(1, value("error", 0.1, "retrained"), fidelity="alone")]
    front = compute_front([*records, record(2, value("error", 0.0), fidelity="sampled")], {"error": "minimize"}, {})
    assert depths(front) == [1]
    assert front.points[0].later == {}


def test_failed_and_incomplete_evaluations_are_on_no_front() -> None:
    records = [
        record(1, value("error", 0.1)),
        record(2, failure=Failure(kind="non_finite", message="loss")),
        record(3, value("error", 0.3), value("latency_ms", 1.0)),
    ]
    front = compute_front(records, GOALS, {})
    assert depths(front) == [3]
    assert front.others == ()


def test_a_measurement_replaces_the_prediction_of_the_same_metric() -> None:
    values = (value("latency_ms", 1.0, "predicted"), value("latency_ms", 2.0, "inherited"), value("error", 0.1))
    front = compute_front([record(1, *values)], GOALS, {})
    assert front.points[0].number("latency_ms") == 2.0
    assert front.points[0].predicted(GOALS) == []
    only = compute_front([record(1, values[0], values[2])], GOALS, {})
    assert only.points[0].predicted(GOALS) == ["latency_ms"]


def test_best_values_does_not_depend_on_the_order() -> None:
    values = [value("a", 1.0, "predicted"), value("a", 2.0, "inherited"), value("a", 3.0, "exported")]
    assert best_values(values) == best_values(reversed(values)) == {"a": values[2]}


def test_later_fidelities_stand_beside_and_do_not_compete() -> None:
    records = [
        record(1, value("error", 0.4), value("latency_ms", 1.0)),
        record(1, value("error", 0.1, "retrained"), fidelity="retrained"),
    ]
    (point,) = compute_front(records, GOALS, {}).points
    assert point.number("error") == 0.4
    assert point.later["retrained"]["error"].value == 0.1


def test_the_ends_are_the_best_in_each_objective_and_of_several_the_best_in_the_others() -> None:
    pairs = ((0.1, 3.0), (0.1, 4.0), (0.2, 2.0), (0.5, 1.0), (0.6, 0.9))
    records = [record(n, value("error", error), value("latency_ms", ms)) for n, (error, ms) in enumerate(pairs)]
    front = compute_front(records, GOALS, {})
    assert [point.architecture["depth"] for point in front.ends] == [0, 4]
    assert choose(front, ["ends"]) == list(front.ends)
    assert [p.architecture["depth"] for p in choose(front, ["knee", "ends"])] == [2, 0, 4]
    up = compute_front([record(n, value("accuracy", n / 10)) for n in (1, 2)], {"accuracy": "maximize"}, {})
    assert choose(up, ["ends", "knee"]) == [up.knee]
    with pytest.raises(SpecError, match=r"'ends' names 2 points, .*name one of them"):
        choose_one(front, "ends")
    assert choose_one(front, "knee") is front.knee
    assert choose_one(up, "ends") is up.knee


def test_of_equals_in_one_objective_the_end_is_best_in_the_next() -> None:
    goals = {"error": "minimize", "latency_ms": "minimize", "model_bytes": "minimize"}
    sizes = ((0.1, 3.0, 9.0), (0.1, 2.0, 99.0), (0.3, 1.0, 99.0))
    front = compute_front(
        [
            record(n, value("error", error), value("latency_ms", ms), value("model_bytes", size))
            for n, (error, ms, size) in enumerate(sizes)
        ],
        goals,
        {},
    )
    assert [point.architecture["depth"] for point in front.ends] == [1, 2, 0]


def test_choosing_points() -> None:
    front = compute_front(
        [record(n, value("error", n / 10), value("latency_ms", 5.0 - n)) for n in (1, 2, 3)], GOALS, {}
    )
    digest = front.points[0].architecture.digest
    assert choose(front, ["knee"]) == [front.knee]
    assert choose(front, [digest, digest[:6]]) == [front.points[0]]
    with pytest.raises(NotFound, match="the front holds"):
        choose(front, ["ffffffffffff"])
    with pytest.raises(SpecError, match="fits 3 architectures"):
        choose(front, [""])
    with pytest.raises(NotFound, match="no knee"):
        choose(compute_front([], GOALS, {}), ["knee"])
    with pytest.raises(NotFound, match="no ends"):
        choose(compute_front([], GOALS, {}), ["ends"])
