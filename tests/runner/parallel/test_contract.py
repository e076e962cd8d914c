"""What every executor promises to the engine, whatever an evaluator does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from runner.parallel.ray_pool import RayPool
from runner.search import Course, Executor, Outcome, SerialExecutor, create_algorithm, pose, run
from search_spaces import Architecture
from tests.runner.parallel.evaluators import behave, make_behave, make_measure
from tests.runner.search.spaces import layered_space, measure

if TYPE_CHECKING:
    from runner.parallel.session import RaySession

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["serial", "ray"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "serial":
        with SerialExecutor(behave) as serial:
            yield serial
        return
    request.getfixturevalue("local_ray")
    with RayPool(make_behave, workers=2) as pool:
        yield pool


def named(action: str) -> Architecture:
    return Architecture({"a": action})


def outcome(executor: Executor, action: str, attempt: int = 1) -> Outcome:
    executor.submit(named(action), attempt)
    found = executor.collect(30.0)
    assert found is not None
    assert found.architecture == named(action)
    return found


def test_what_is_returned_is_handed_on(executor: Executor) -> None:
    found = outcome(executor, "return")
    assert (found.returned, found.failure) == ({"error": 0.5, "count": 3}, None)
    assert 0.0 <= found.seconds < 30.0


def test_what_makes_no_sense_is_handed_on_too(executor: Executor) -> None:
    values = outcome(executor, "nan").returned
    assert isinstance(values, dict)
    assert math.isnan(values["error"])
    assert outcome(executor, "text").returned == {"error": "high"}
    nothing = outcome(executor, "nothing")
    assert (nothing.returned, nothing.failure) == (None, None)


def test_the_attempt_comes_back(executor: Executor) -> None:
    assert [outcome(executor, "return", attempt).attempt for attempt in (1, 3)] == [1, 3]


@pytest.mark.parametrize(
    ("action", "kind", "message"),
    [
        ("raise", "exception", "ValueError: no luck"),
        ("raise-unpicklable", "exception", "Unpicklable: holds a lock"),
        ("raise-unpickled", "exception", "Unpickled: 1 and 2"),
        ("memory", "out_of_memory", "MemoryError: Unable to allocate"),
        ("memory-by-name", "out_of_memory", "OutOfMemoryError: device is full"),
    ],
)
def test_an_exception_comes_back_as_a_failure(executor: Executor, action: str, kind: str, message: str) -> None:
    found = outcome(executor, action)
    assert found.returned is None
    assert found.failure is not None
    assert found.failure.kind == kind
    assert found.failure.message.startswith(message)
    assert outcome(executor, "return").failure is None


def test_places_are_taken_by_what_was_submitted_and_not_collected(executor: Executor) -> None:
    places = executor.free()
    assert places >= 1
    for taken in range(places):
        executor.submit(named("return"), taken + 1)
        assert executor.free() == places - taken - 1
    collected = {found.attempt for _ in range(places) if (found := executor.collect(30.0)) is not None}
    assert collected == set(range(1, places + 1))
    assert executor.free() == places


def test_collecting_nothing_waits_about_as_long_as_it_may(executor: Executor) -> None:
    began = time.monotonic()
    assert executor.collect(0.3) is None
    assert time.monotonic() - began < 5.0


def test_one_place_finds_what_any_other_one_finds(local_ray: RaySession) -> None:
    problem = pose(layered_space(), {"error": "minimize", "cost": "minimize"})
    found = []
    for executor in (SerialExecutor(measure), RayPool(make_measure, workers=1)):
        with executor:
            result = run(problem, create_algorithm("nsga2", problem, 1), executor, Course(evaluations=30))
        found.append(result.evaluations)
    assert found[0] == found[1]


def test_it_closes_with_work_under_way_and_twice(local_ray: RaySession) -> None:
    began = time.monotonic()
    for executor in (SerialExecutor(measure), RayPool(make_behave, workers=1)):
        with executor:
            executor.submit(named("sleep"), 1)
        executor.close()
    assert time.monotonic() - began < 20.0
