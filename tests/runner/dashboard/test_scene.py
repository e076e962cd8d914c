import pytest

from runner.dashboard.scene import MOST_FADED, ORDER, describe, make_scene
from runner.errors import SpecError
from tests.runner.dashboard.fronts import a_front, a_value

MIN = "minimize"


@pytest.mark.parametrize(
    ("goals", "axes"),
    [
        (("error", "latency_ms", "model_bytes"), ("latency_ms", "error", "model_bytes")),
        (("model_bytes", "latency_ms", "error"), ("latency_ms", "error", "model_bytes")),
        (("macs", "accuracy"), ("macs", "accuracy", None)),
        (("loss", "error"), ("error", "loss", None)),
        (("latency_ms", "model_bytes"), ("latency_ms", "model_bytes", None)),
        (("error",), (ORDER, "error", None)),
        (("latency_ms",), (ORDER, "latency_ms", None)),
    ],
)
def test_a_cost_goes_to_the_right_and_a_score_upwards(goals: tuple[str, ...], axes: tuple[str, ...]) -> None:
    scene = make_scene(a_front(dict.fromkeys(goals, MIN), [dict.fromkeys(goals, 1.0)]), None, None)
    assert (scene.x, scene.y, scene.size) == axes


def test_named_axes_are_taken_and_unknown_ones_refused() -> None:
    front = a_front({"error": MIN, "latency_ms": MIN}, [{"error": 0.1, "latency_ms": 1.0, "macs": 5.0}])
    assert make_scene(front, "macs", "latency_ms").front[0].x == 5.0
    assert make_scene(front, "error", None).y == "latency_ms"
    with pytest.raises(SpecError, match=r"no metric 'speed'.*error, latency_ms, macs"):
        make_scene(front, "speed", None)


def test_the_line_holds_the_best_trade_off_in_steps() -> None:
    points = [{"error": 0.3, "latency_ms": 1.0}, {"error": 0.1, "latency_ms": 3.0}, {"error": 0.2, "latency_ms": 2.0}]
    scene = make_scene(a_front({"error": MIN, "latency_ms": MIN}, points), None, None)
    assert scene.line == ((1.0, 0.3), (2.0, 0.3), (2.0, 0.2), (3.0, 0.2), (3.0, 0.1))
    assert (scene.worst("error"), scene.worst("latency_ms")) == ("high", "high")


def test_the_line_follows_the_goals() -> None:
    points = [{"accuracy": 0.7, "macs": 10.0}, {"accuracy": 0.9, "macs": 30.0}]
    scene = make_scene(a_front({"accuracy": "maximize", "macs": MIN}, points), None, None)
    assert scene.line == ((10.0, 0.7), (30.0, 0.7), (30.0, 0.9))
    assert scene.worst("accuracy") == "low"


def test_a_front_of_three_objectives_may_hold_points_behind_the_line() -> None:
    points = [
        {"error": 0.1, "latency_ms": 1.0, "model_bytes": 9.0},
        {"error": 0.2, "latency_ms": 2.0, "model_bytes": 1.0},
    ]
    scene = make_scene(a_front(dict.fromkeys(points[0], MIN), points), None, None)
    assert len(scene.front) == 2
    assert scene.line == ((1.0, 0.1),)


def test_one_objective_is_drawn_over_the_evaluations() -> None:
    points = [{"error": 0.3}, {"error": 0.4}, {"error": 0.1}]
    scene = make_scene(a_front({"error": MIN}, points), None, None)
    assert [(mark.x, mark.y) for mark in scene.front] == [(3.0, 0.1)]
    assert scene.line == ((1.0, 0.3), (3.0, 0.3), (3.0, 0.1))


def test_what_nobody_measured_is_marked() -> None:
    points = [
        {"error": 0.1, "latency_ms": a_value("latency_ms", 2.0, "predicted", spread=0.5)},
        {"error": 0.2, "latency_ms": 1.0},
    ]
    first, second = make_scene(a_front({"error": MIN, "latency_ms": MIN}, points), None, None).front
    assert (first.predicted, first.x_interval) == (True, (1.5, 2.5))
    assert (second.predicted, second.x_interval) == (False, None)


def test_the_exported_numbers_are_shown_rather_than_the_retrained_ones() -> None:
    later = {0: {"retrained": {"error": 0.08}, "exported": {"error": 0.09, "latency_ms": 1.1, "file_bytes": 5.0}}}
    front = a_front({"error": MIN, "latency_ms": MIN}, [{"error": 0.1, "latency_ms": 1.0}], later=later)
    ((origin, mark),) = make_scene(front, None, None).later
    assert (origin.x, origin.y) == (1.0, 0.1)
    assert (mark.shape, mark.x, mark.y) == ("exported", 1.1, 0.09)


def test_a_retrained_model_keeps_the_cost_of_its_architecture() -> None:
    later = {0: {"retrained": {"error": 0.08}}}
    front = a_front({"error": MIN, "latency_ms": MIN}, [{"error": 0.1, "latency_ms": 1.0}], later=later)
    ((_, mark),) = make_scene(front, None, None).later
    assert (mark.shape, mark.x, mark.y) == ("retrained", 1.0, 0.08)


def test_a_few_points_far_off_are_left_out_and_counted() -> None:
    points = [{"error": 0.1, "latency_ms": 2.0}, {"error": 0.2, "latency_ms": 1.0}]
    points += [{"error": 0.25, "latency_ms": 2.5}] * 50 + [{"error": 0.99, "latency_ms": 2.5}]
    scene = make_scene(a_front({"error": MIN, "latency_ms": MIN}, points), None, None)
    assert (len(scene.faded), scene.faded_total) == (50, 51)


def test_points_far_off_stay_where_they_are_many() -> None:
    points = [{"error": 0.10, "latency_ms": 2.0}, {"error": 0.11, "latency_ms": 1.0}]
    points += [{"error": 0.5 + index / 100, "latency_ms": 2.5} for index in range(40)]
    scene = make_scene(a_front({"error": MIN, "latency_ms": MIN}, points), None, None)
    assert len(scene.faded) == 38


def test_more_points_than_a_picture_holds_are_thinned() -> None:
    points = [{"error": 0.1, "latency_ms": 1.0}, *[{"error": 0.2, "latency_ms": 2.0}] * (2 * MOST_FADED + 1)]
    scene = make_scene(a_front({"error": MIN, "latency_ms": MIN}, points), None, None)
    assert MOST_FADED / 2 < len(scene.faded) <= MOST_FADED
    assert scene.faded_total == 2 * MOST_FADED + 1


def test_the_description_tells_what_the_picture_shows() -> None:
    points = [{"error": 0.1, "latency_ms": 2.0}, {"error": 0.2, "latency_ms": 1.0}, {"error": 0.3, "latency_ms": 3.0}]
    words = describe(a_front({"error": MIN, "latency_ms": MIN}, points))
    assert "2 architectures on the front of 3 evaluated" in words
    assert "error (lower is better)" in words
    assert "latency_ms runs from 1.000 to 2.000" in words
    assert "The knee is " in words
    assert describe(a_front({"error": MIN}, [])) == "No architecture has been evaluated yet."
