"""Which subnets a step trains."""

from __future__ import annotations

import random

import pytest

from search_spaces import Ordinal, SearchSpace
from supernet.errors import TrainingError
from supernet.training.sampling import MOST_AT_ONCE, EveryArchitecture, MultiArchitecture, Sandwich
from supernet.training.weighting import SamplingWeights
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


def test_several_architectures_divide_a_batch() -> None:
    sampler = MultiArchitecture(small_space(), subnets=3)
    chosen = sampler.architectures(0, random.Random(1))
    assert len(chosen) == 3
    assert all(small_space().contains(architecture) for architecture in chosen)
    assert sampler.architectures(7, random.Random(1)) == chosen, "only the generator counts"
    assert sampler.divides_batch
    with pytest.raises(TrainingError, match="at least one random subnet, got 0"):
        MultiArchitecture(small_space(), subnets=0)


def test_every_architecture_of_a_tiny_space_is_trained_the_largest_first() -> None:
    space = small_space()
    chosen = EveryArchitecture(space).architectures(0, random.Random(0))
    assert chosen[0] == space.largest()
    assert len(chosen) == len(set(chosen)) == space.size()


def test_too_many_architectures_for_one_step_are_refused() -> None:
    values = SearchSpace({"a": Ordinal(*range(8)), "b": Ordinal(*range(8))})
    assert len(EveryArchitecture(values).architectures(0, random.Random(0))) == MOST_AT_ONCE
    more = SearchSpace({"a": Ordinal(*range(13)), "b": Ordinal(*range(5))})
    with pytest.raises(TrainingError, match=r"up to 64 of them; this space has 65\. Narrow it, or train a sandwich"):
        EveryArchitecture(more)


@pytest.mark.parametrize("recipe", [Sandwich, MultiArchitecture])
def test_weights_say_what_random_subnets_take(recipe: type[Sandwich] | type[MultiArchitecture]) -> None:
    space = small_space()
    weights = SamplingWeights.of(space, {"width": {4: 3.0}})
    chosen = recipe(space, 1000, weights).architectures(0, random.Random(0))[-1000:]
    # Expected 750; six standard deviations are 83: p < 2e-9.
    assert abs(sum(architecture["width"] == 4 for architecture in chosen) - 750) < 83
