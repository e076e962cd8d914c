"""How often random draws take each value, and what a name of a choice may stand for."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest

from search_spaces import Categorical, Ordinal, SearchSpace
from search_spaces.errors import UnknownChoice
from supernet.errors import TrainingError
from supernet.training.weighting import SamplingWeights, matching

SPACE = SearchSpace(
    {
        "depth": Ordinal(1, 2),
        "layers.0.mixer": Categorical("softmax", "conv"),
        "layers.0.gated": Categorical(False, True),
        "layers.1.mixer": Categorical("softmax", "conv", "none"),
    }
)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("depth", ("depth",)),
        ("mixer", ("layers.0.mixer", "layers.1.mixer")),
        ("layers.0.mixer", ("layers.0.mixer",)),
        ("layers.0.*", ("layers.0.mixer", "layers.0.gated")),
        ("*", SPACE.names),
    ],
)
def test_a_pattern_means_a_name_or_its_last_part_or_what_it_matches(pattern: str, names: tuple[str, ...]) -> None:
    assert matching(SPACE, pattern) == names


def test_values_are_drawn_in_proportion_to_their_weights() -> None:
    weights = SamplingWeights.of(SPACE, {"mixer": {"softmax": 2.0}, "layers.1.mixer": {"none": 3}, "depth": {2: 0.25}})
    rng = random.Random(0)
    drawn = [weights.draw(SPACE, rng) for _ in range(3000)]
    expected = {
        "layers.0.mixer": {"softmax": 2000, "conv": 1000},
        "layers.1.mixer": {"softmax": 1000, "conv": 500, "none": 1500},
        "depth": {1: 2400, 2: 600},
        "layers.0.gated": {False: 1500, True: 1500},
    }
    # Six standard deviations of a count are at most 6 * sqrt(3000 / 4) < 165: one fails by chance with p < 2e-8.
    for name, counts in expected.items():
        found = Counter(architecture[name] for architecture in drawn)
        assert all(abs(found[value] - count) < 165 for value, count in counts.items()), (name, found)


def test_without_weights_draws_are_the_balanced_ones_of_the_space() -> None:
    assert SamplingWeights().draw(SPACE, random.Random(3)) == SPACE.sample_balanced(random.Random(3))


def test_a_part_of_the_space_keeps_the_weights_of_what_is_left() -> None:
    weights = SamplingWeights.of(SPACE, {"layers.1.mixer": {"none": 1000}})
    part = SPACE.narrow({"layers.1.mixer": ("conv", "none"), "depth": 2})
    drawn = [weights.draw(part, random.Random(seed)) for seed in range(50)]
    assert all(part.contains(architecture) for architecture in drawn)
    # 50 draws with conv at 1/1001 hold three of them with probability below 2e-5; the seeds are fixed.
    assert sum(architecture["layers.1.mixer"] == "none" for architecture in drawn) >= 48


def test_values_are_known_as_they_are_written_in_a_file() -> None:
    """JSON, in which a study is recorded, has only text for keys."""
    texts = SamplingWeights.of(SPACE, {"depth": {"2": 5.0}, "gated": {"true": 2.0}})
    values = SamplingWeights.of(SPACE, {"depth": {2: 5.0}, "gated": {True: 2.0}})
    assert texts == values
    assert dict(texts.by_name) == {"depth": {"2": 5.0}, "layers.0.gated": {"true": 2.0}}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"mixr": {"conv": 1}}, UnknownChoice, ["mixr", "did you mean 'mixer'", "depth", "layers.1.mixer"]),
        ({"layers.2.*": {"conv": 1}}, UnknownChoice, ["layers.2"]),
        ({"mixer": {"sofmax": 1}}, TrainingError, ["'mixer'", "'sofmax'", "softmax, conv, none"]),
        ({"layers.0.mixer": {"none": 1}}, TrainingError, ["'none'", "softmax, conv."]),
        ({"depth": {3: 1}}, TrainingError, ["3", "1, 2"]),
        ({"depth": {2: 0.0}}, TrainingError, ["positive", "left out of the space"]),
        ({"depth": {2: -1.0}}, TrainingError, ["positive"]),
        ({"depth": {2: math.nan}}, TrainingError, ["positive"]),
    ],
)
def test_unknown_names_values_and_weights_are_refused(
    given: dict[str, dict[Any, float]], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        SamplingWeights.of(SPACE, given)
    assert all(word in str(caught.value) for word in words), caught.value
