"""The numbering, at the level of answers."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Categorical, Condition, Ordinal, SearchSpace, SpaceError, load_space
from search_spaces.counting import INACTIVE, Frontier
from search_spaces.sampling import answers_at, index_of, uniform_answers
from tests.search_spaces.spaces import spaces


@pytest.fixture
def frontier() -> Frontier:
    choices = {"on": Categorical(False, True), "a": Ordinal(1, 2, 3)}
    return Frontier(choices, {"a": (Condition("on", (True,)),)}, ())


def test_order_is_lexicographic(frontier: Frontier) -> None:
    expected = [(0, INACTIVE), (1, 0), (1, 1), (1, 2)]
    assert [answers_at(frontier, index) for index in range(4)] == expected
    assert [index_of(frontier, answers) for answers in expected] == [0, 1, 2, 3]


def test_outside_is_refused(frontier: Frontier) -> None:
    with pytest.raises(SpaceError, match="index 4 is outside this space; it runs from 0 to 3"):
        answers_at(frontier, 4)


def test_draws_weigh_branches_by_what_follows(frontier: Frontier) -> None:
    # A draw choice by choice would give "off" half of the time instead of a quarter.
    rng = random.Random(5)
    seen = Counter(uniform_answers(frontier, rng) for _ in range(4000))
    assert all(abs(count - 1000) < 150 for count in seen.values())  # 5.5 standard deviations; fixed generator


def test_balanced_samples_see_rare_depths_as_often_as_common_ones() -> None:
    """Expected 1,000 of each depth; six standard deviations (155) are passed with probability below 1e-8."""
    space = load_space("vision_transformer", depth=(2, 3, 4))
    rng = random.Random(0)
    depths = Counter(space.sample_balanced(rng)["depth"] for _ in range(3000))
    assert all(abs(count - 1000) < 155 for count in depths.values())
    assert set(depths) == {2, 3, 4}


@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_balanced_samples_are_in_the_space(space: SearchSpace, seed: int) -> None:
    assert space.contains(space.sample_balanced(random.Random(seed)))


def test_weighted_samples_take_values_in_proportion() -> None:
    space = SearchSpace({"mixer": Categorical("softmax", "conv", "none"), "depth": Ordinal(1, 2)})
    rng = random.Random(0)
    drawn = [space.sample_balanced(rng, {"mixer": (6.0, 3.0, 1.0)}) for _ in range(3000)]
    counts = Counter(architecture["mixer"] for architecture in drawn)
    # Six standard deviations of a count are at most 6 * sqrt(3000 / 4) < 165: a false failure has p < 2e-8.
    for mixer, expected in {"softmax": 1800, "conv": 900, "none": 300}.items():
        assert abs(counts[mixer] - expected) < 165, mixer
    assert abs(sum(architecture["depth"] == 2 for architecture in drawn) - 1500) < 165, "not weighted"


@given(spaces(), st.integers(0, 2**32))
def test_equal_weights_leave_every_architecture_possible(space: SearchSpace, seed: int) -> None:
    weights = {name: (0.5,) * len(choice.values) for name, choice in space.choices.items()}
    assert space.contains(space.sample_balanced(random.Random(seed), weights))
