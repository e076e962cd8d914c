"""What is left to propose, in spaces and pools."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from runner.search.problem import Problem, pose
from runner.search.supply import Supply
from search_spaces import Architecture, Categorical, Condition, Constraint, Ordinal, SearchSpace

SPACE = SearchSpace(
    {"a": Ordinal(1, 2, 3), "b": Categorical("x", "y"), "c": Ordinal(1, 2)},
    conditions={"c": [Condition("b", ("y",))]},
    constraints=[Constraint(("a", "b"), lambda v: not (v["a"] == 3 and v["b"] == "x"), "3 needs y")],
)
EVERYTHING = list(SPACE.enumerate())


def problem(candidates: list[Architecture] | None = None) -> Problem:
    return pose(SPACE, {"error": "minimize"}, candidates=candidates)


@pytest.mark.parametrize("pooled", [False, True])
def test_draws_are_uniform_over_what_is_left(pooled: bool) -> None:
    supply = Supply(problem(EVERYTHING[::-1] if pooled else None))
    for architecture in EVERYTHING[:3]:
        supply.take(architecture)
    rng = random.Random(0)
    drawn = Counter(supply.draw(rng) for _ in range(5000))
    assert set(drawn) == set(EVERYTHING[3:])
    # Standard deviation about 30 on 1000; six of them fail by chance once in 1e8.
    assert all(abs(count - 5000 / len(drawn)) < 180 for count in drawn.values())


@pytest.mark.parametrize("pooled", [False, True])
def test_drawing_and_taking_visits_everything_once(pooled: bool) -> None:
    supply = Supply(problem(EVERYTHING if pooled else None))
    rng, seen = random.Random(0), []
    while (architecture := supply.draw(rng)) is not None:
        assert supply.available(architecture)
        supply.take(architecture)
        assert not supply.available(architecture)
        seen.append(architecture)
    assert sorted(seen, key=Architecture.to_json) == sorted(EVERYTHING, key=Architecture.to_json)
    assert supply.remaining == 0
    assert supply.nearest(EVERYTHING[0], rng) is None


def test_taking_twice_counts_once() -> None:
    supply = Supply(problem())
    supply.take(EVERYTHING[0])
    supply.take(EVERYTHING[0])
    assert supply.remaining == len(EVERYTHING) - 1


def test_nearest_in_a_pool_is_the_closest_free_member() -> None:
    far, near, nearest = (SPACE.canonical({"a": a, "b": "y", "c": 1}) for a in (3, 2, 1))
    supply = Supply(problem([far, near, nearest]))
    wanted = SPACE.canonical({"a": 1, "b": "y", "c": 2})
    rng = random.Random(0)
    for expected in (nearest, near, far):
        assert supply.nearest(wanted, rng) == expected
        supply.take(expected)


def test_nearest_in_a_space_reaches_the_last_one_left() -> None:
    supply = Supply(problem())
    for architecture in EVERYTHING[1:]:
        supply.take(architecture)
    assert supply.nearest(EVERYTHING[-1], random.Random(0)) == EVERYTHING[0]


def test_releasing_shows_an_earlier_supply_and_changes_nothing() -> None:
    supply = Supply(problem())
    for architecture in EVERYTHING[:4]:
        supply.take(architecture)
    earlier = supply.releasing(EVERYTHING[2:4])
    assert earlier.free_indices().tolist() == list(range(2, len(EVERYTHING)))
    assert supply.free_indices().tolist() == list(range(4, len(EVERYTHING)))
    earlier.take(EVERYTHING[5])
    assert supply.available(EVERYTHING[5])
