"""Which subnets a step trains."""

from __future__ import annotations

import random

import pytest

from supernet.training.sampling import Sandwich
from tests.supernet.training.small import small_space


@pytest.mark.parametrize("random_subnets", [0, 1, 3])
def test_a_sandwich_is_the_largest_the_smallest_and_random_ones(random_subnets: int) -> None:
    space = small_space()
    chosen = Sandwich(space, random_subnets).architectures(0, random.Random(0))
    assert chosen[0] == space.largest()
    assert chosen[1] == space.smallest()
    assert len(chosen) == 2 + random_subnets
    assert all(space.contains(architecture) for architecture in chosen)


def test_random_subnets_come_from_the_generator_alone() -> None:
    sampler = Sandwich(small_space(), random_subnets=4)
    random.seed(1)
    first = sampler.architectures(0, random.Random(5))
    random.seed(2)
    assert sampler.architectures(0, random.Random(5)) == first
    assert any(sampler.architectures(0, random.Random(seed)) != first for seed in range(5))


def test_random_subnets_reach_the_whole_space() -> None:
    # 200 uniform draws miss one of 6 architectures with probability below 6 * (5/6)^200 < 1e-14.
    chosen = Sandwich(small_space(), random_subnets=200).architectures(0, random.Random(0))
    assert len(set(chosen[2:])) == small_space().size()
