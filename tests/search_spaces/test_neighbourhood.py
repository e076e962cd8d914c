"""Mutation, crossover and neighbours stay inside and near."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import (
    Architecture,
    Categorical,
    Condition,
    Constraint,
    InfeasibleSpace,
    Ordinal,
    SearchSpace,
    SpaceError,
    load_space,
    neighbourhood,
)
from tests.search_spaces.spaces import spaces


@given(spaces(), st.integers(0, 2**32), st.one_of(st.none(), st.floats(0.01, 1.0)))
@settings(max_examples=100, deadline=None)
def test_mutation_gives_another_architecture_of_the_space(space: SearchSpace, seed: int, rate: float | None) -> None:
    rng = random.Random(seed)
    parent = space.sample(rng)
    if space.size() == 1:
        with pytest.raises(InfeasibleSpace, match="single architecture"):
            space.mutate(parent, rng, rate)
        return
    child = space.mutate(parent, rng, rate)
    assert space.contains(child)
    assert child != parent


def test_mutation_works_where_constraints_tie_all_choices_together() -> None:
    choices = {name: Ordinal(1, 2) for name in "abcdef"}
    equal = Constraint(tuple(choices), lambda a: len(set(a.values())) == 1, "all equal")
    space = SearchSpace(choices, constraints=[equal])
    first, second = space.enumerate()
    assert space.mutate(first, random.Random(0)) == second
    assert space.mutate(second, random.Random(0)) == first


def test_when_every_attempt_is_undone_any_other_architecture_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbourhood, "_ATTEMPTS", 0)
    space = SearchSpace({"a": Ordinal(1, 2, 3), "b": Ordinal(1, 2)})
    rng = random.Random(4)
    for parent in space.enumerate():
        children = {space.mutate(parent, rng) for _ in range(200)}  # misses one of five with probability 2e-19
        assert children == set(space.enumerate()) - {parent}


def test_mutation_changes_one_choice_on_average_and_all_at_rate_one() -> None:
    space = SearchSpace({f"c{position}": Ordinal(*range(8)) for position in range(20)})
    parent = space.smallest()
    rng = random.Random(11)

    def changed(rate: float | None) -> float:
        children = [space.mutate(parent, rng, rate) for _ in range(400)]
        return sum(child[name] != parent[name] for child in children for name in space.names) / len(children)

    # At rate 1/20 the number changed is binomial with mean 1, and 0 (probability 0.36) is raised to 1.
    assert 1.2 < changed(None) < 1.5
    assert changed(1.0) == 20


@pytest.mark.parametrize("rate", [0, -0.5, 1.5])
def test_a_rate_is_a_probability(rate: float) -> None:
    space = SearchSpace({"a": Ordinal(1, 2)})
    with pytest.raises(SpaceError, match="above 0 and at most 1"):
        space.mutate(space.smallest(), random.Random(0), rate)


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_crossover_stays_inside(space: SearchSpace, seed: int) -> None:
    rng = random.Random(seed)
    first, second = space.sample(rng), space.sample(rng)
    child = space.crossover(first, second, rng)
    assert space.contains(child)
    assert space.crossover(first, first, rng) == first


def test_crossover_without_constraints_takes_every_answer_from_a_parent() -> None:
    space = load_space("vision_transformer", depth=3)
    rng = random.Random(2)
    kept = 0
    for _ in range(100):
        first, second = space.sample(rng), space.sample(rng)
        child = space.crossover(first, second, rng)
        assert all(child[name] in (first.get(name), second.get(name)) for name in child)
        kept += child in (first, second)
    assert kept < 50


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_neighbours_are_distinct_others_with_one_decision_changed(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(random.Random(seed))
    near = list(space.neighbours(architecture))
    assert architecture not in near
    assert len(set(near)) == len(near)
    for other in near:
        assert space.contains(other)
        both = [name for name in architecture if name in other and architecture[name] != other[name]]
        assert len(both) == 1


@pytest.mark.slow
@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_no_neighbour_of_a_categorical_choice_is_missed(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(random.Random(seed))
    near = {_changed(architecture, other) for other in space.neighbours(architecture)}
    for other in space.enumerate():
        both = [name for name in architecture if name in other and architecture[name] != other[name]]
        if len(both) == 1 and isinstance(space.choices[both[0]], Categorical):
            assert (both[0], other[both[0]]) in near


def _changed(architecture: Architecture, other: Architecture) -> tuple[str, object]:
    return next(
        (name, other[name]) for name in architecture if other.get(name, architecture[name]) != architecture[name]
    )


def test_ordinals_move_to_the_nearest_allowed_value() -> None:
    space = SearchSpace(
        {"width": Ordinal(8, 16, 24, 32), "heads": Ordinal(1, 2, 3, 4)},
        constraints=[Constraint(("width", "heads"), lambda a: a["width"] % a["heads"] == 0, "heads divide width")],
    )
    near = [dict(other) for other in space.neighbours(Architecture({"width": 24, "heads": 3}))]
    assert near == [{"width": 24, "heads": 2}, {"width": 24, "heads": 4}]
    near = [dict(other) for other in space.neighbours(Architecture({"width": 16, "heads": 2}))]
    assert near == [
        {"width": 8, "heads": 2},
        {"width": 24, "heads": 2},
        {"width": 16, "heads": 1},
        {"width": 16, "heads": 4},
    ]


def test_newly_active_choices_take_the_smallest_value_that_the_kept_answers_allow() -> None:
    space = SearchSpace(
        {"mixer": Categorical("conv", "softmax"), "heads": Ordinal(1, 2, 4), "width": Ordinal(8, 16)},
        conditions={"heads": Condition("mixer", ("softmax",))},
        constraints=[
            Constraint(("heads", "width"), lambda a: a.get("heads", 4) != 1 or a["width"] == 8, "one head is narrow")
        ],
    )
    near = [dict(other) for other in space.neighbours(Architecture({"mixer": "conv", "width": 16}))]
    assert {"mixer": "softmax", "heads": 2, "width": 16} in near
