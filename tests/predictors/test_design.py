"""Which architectures are measured first: spread over the space, whatever its shape."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from predictors.design import spread
from search_spaces import Categorical, Constraint, Ordinal, SearchSpace, load_space


def test_begins_with_the_ends_and_repeats_nothing() -> None:
    space = load_space("vision_transformer")
    chosen = spread(space, 20, random.Random(0))
    assert chosen[:2] == [space.smallest(), space.largest()]
    assert len(set(chosen)) == 20
    assert all(space.contains(architecture) for architecture in chosen)


def test_is_a_function_of_its_seed() -> None:
    space = load_space("vision_transformer")
    assert spread(space, 12, random.Random(3)) == spread(space, 12, random.Random(3))
    assert spread(space, 12, random.Random(3)) != spread(space, 12, random.Random(4))


@pytest.mark.parametrize("seed", range(5))
def test_shallow_architectures_are_seen_although_they_are_rare(seed: int) -> None:
    """Of 2,077,056 architectures 96 % have depth 4: sixteen uniform ones miss depth 2 with probability 0.97."""
    chosen = spread(load_space("vision_transformer"), 16, random.Random(seed))
    depths = Counter(architecture["depth"] for architecture in chosen)
    assert depths[2] >= 2
    assert depths[3] >= 2
    mixers = Counter(value for a in chosen for name, value in a.items() if name.endswith("mixer"))
    assert set(mixers) == {"identity", "convolution", "windowed", "softmax"}


def test_spreads_wider_than_a_uniform_sample() -> None:
    """Its closest pair is at least as far apart as that of the best of 20 uniform samples."""
    space = SearchSpace({f"c{i}": Categorical("a", "b", "c", "d") for i in range(6)})

    def closest(architectures: list[object]) -> int:
        rows = [dict(a) for a in architectures]  # type: ignore[call-overload]
        return min(
            sum(first[name] != second[name] for name in first) for i, first in enumerate(rows) for second in rows[:i]
        )

    uniform = [closest([space.sample(random.Random(seed * 100 + i)) for i in range(12)]) for seed in range(20)]
    assert closest(list(spread(space, 12, random.Random(0)))) >= max(max(uniform), 3)


def test_small_spaces_are_listed_whole() -> None:
    space = SearchSpace({"a": Ordinal(1, 2), "b": Categorical("x", "y")})
    assert set(spread(space, 50, random.Random(0))) == set(space.enumerate())
    assert spread(SearchSpace({"a": Ordinal(1)}), 8, random.Random(0)) == [SearchSpace({"a": Ordinal(1)}).smallest()]
    assert len(spread(space, 1, random.Random(0))) == 1


def test_constraints_are_kept_also_where_few_architectures_remain() -> None:
    rare = Constraint(
        tuple(f"c{i}" for i in range(8)), lambda answers: sum(int(v) for v in answers.values()) <= 1, "at most one"
    )
    space = SearchSpace({f"c{i}": Ordinal(0, 1) for i in range(8)}, constraints=[rare])
    assert set(spread(space, 20, random.Random(0))) == set(space.enumerate())
