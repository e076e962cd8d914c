"""Samples that lie evenly over the costs of a space, whatever their distribution."""

from __future__ import annotations

import itertools
import random

import pytest

from predictors.strata import POOL, stratified
from search_spaces import Architecture, Ordinal, SearchSpace


def many() -> SearchSpace:
    return SearchSpace({f"a{index}": Ordinal(1, 2, 3, 4) for index in range(10)})


def cost(architecture: Architecture) -> float:
    product = 1.0
    for value in architecture.values():
        product *= float(value)
    return product


def test_each_stratum_gives_one() -> None:
    """Of a space small enough to be the pool, sixteen architectures come from the sixteen sixteenths of the costs."""
    space = SearchSpace({"a": Ordinal(*range(256))})
    chosen = stratified(space, 16, lambda a: float(a["a"]) ** 3, random.Random(1))
    assert sorted(int(a["a"]) // 16 for a in chosen) == list(range(16))
    assert all(value == float(a["a"]) ** 3 for a, value in chosen.items())


@pytest.mark.parametrize("count", [5, 16, 40])
def test_every_beginning_is_spread_out(count: int) -> None:
    space = SearchSpace({"a": Ordinal(*range(256))})
    values = [int(a["a"]) for a in stratified(space, 64, lambda a: float(a["a"]), random.Random(2))][:count]
    ends = [-1, *sorted(values), 256]
    gaps = [after - before for before, after in itertools.pairwise(ends)]
    assert max(gaps) <= 4 * 256 / count  # of evenly spread ones 256 / count; of drawn ones a few times more


def test_all_differ_belong_to_the_space_and_repeat() -> None:
    space = many()
    chosen = stratified(space, 40, cost, random.Random(7))
    assert len(chosen) == 40
    assert all(space.contains(architecture) for architecture in chosen)
    assert list(chosen) == list(stratified(space, 40, cost, random.Random(7)))
    assert list(chosen) != list(stratified(space, 40, cost, random.Random(8)))


def test_more_add_to_fewer() -> None:
    fewer, more = (list(stratified(many(), count, cost, random.Random(7))) for count in (12, 40))
    assert more[:12] == fewer


@pytest.mark.parametrize("count", [6, 7, 100])
def test_a_small_space_is_taken_whole(count: int) -> None:
    space = SearchSpace({"a": Ordinal(1, 2, 3), "b": Ordinal(1, 2)})
    assert set(stratified(space, count, cost, random.Random(0))) == set(space.enumerate())


def test_many_of_a_space_that_is_hardly_larger() -> None:
    space = SearchSpace({"a": Ordinal(*range(2 * POOL + 1))})
    assert len(stratified(space, POOL // 2, lambda a: float(a["a"]), random.Random(0))) == POOL // 2


def test_equal_costs_are_no_obstacle() -> None:
    assert len(stratified(many(), 20, lambda architecture: 1.0, random.Random(0))) == 20
