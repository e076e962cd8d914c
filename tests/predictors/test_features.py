"""Features against distances and counts that are worked out by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest

from predictors.features import INACTIVE, FeatureLayout, group_name
from search_spaces import Architecture, Categorical, Condition, Ordinal, SearchSpace


@pytest.fixture
def space() -> SearchSpace:
    layers = {f"layers.{i}.mixer": Categorical("identity", "conv", "softmax") for i in range(2)}
    heads = {f"layers.{i}.heads": Ordinal(1, 2, 4) for i in range(2)}
    return SearchSpace(
        {"depth": Ordinal(1, 2), **layers, **heads, "bias": Categorical(False, True)},
        conditions={
            "layers.1.mixer": [Condition("depth", (2,))],
            "layers.0.heads": [Condition("layers.0.mixer", ("softmax",))],
            "layers.1.heads": [Condition("layers.1.mixer", ("softmax",))],
        },
    )


def test_every_architecture_comes_back_from_its_indices(space: SearchSpace) -> None:
    architectures = list(space.enumerate())
    features = FeatureLayout.of(space).extract(architectures)
    assert list(features.architectures()) == architectures


def test_squared_distances_of_decisions_are_distances_between_answers(space: SearchSpace) -> None:
    layout = FeatureLayout.of(space)
    sizes = np.array([len(choice.values) for choice in space.choices.values()])
    ordered = np.array([isinstance(choice, Ordinal) for choice in space.choices.values()])
    rng = random.Random(0)
    for _ in range(100):
        features = layout.extract([space.sample(rng), space.sample(rng)])
        left, right = features.indices
        steps = np.abs(left - right) / np.maximum(sizes - 1, 1)
        graded = ordered & (left != INACTIVE) & (right != INACTIVE)
        expected = np.where(graded, steps, left != right).sum()
        assert ((features.decisions[0] - features.decisions[1]) ** 2).sum() == pytest.approx(expected)
        assert features.take([0]).distances_to(features)[0] == pytest.approx(0.0, abs=1e-12)


def test_counts_say_how_many_layers_give_each_answer(space: SearchSpace) -> None:
    architecture = Architecture(
        {
            "depth": 2,
            "layers.0.mixer": "softmax",
            "layers.1.mixer": "softmax",
            "layers.0.heads": 4,
            "layers.1.heads": 2,
            "bias": True,
        }
    )
    layout = FeatureLayout.of(space)
    counts = dict(zip(layout.count_columns, layout.extract([architecture]).counts[0].tolist(), strict=True))
    assert counts == {
        "depth>=1": 1,
        "depth>=2": 1,
        "layers.*.mixer=identity": 0,
        "layers.*.mixer=conv": 0,
        "layers.*.mixer=softmax": 2,
        "layers.*.heads>=1": 2,
        "layers.*.heads>=2": 2,
        "layers.*.heads>=4": 1,
        "bias=False": 0,
        "bias=True": 1,
    }
    assert layout.group_sizes.tolist() == [1, 2, 2, 1]


def test_members_of_a_group_may_allow_different_values() -> None:
    space = SearchSpace({"layers.0.width": Ordinal(8, 32), "layers.1.width": Ordinal(16, 32)})
    layout = FeatureLayout.of(space)
    assert layout.count_columns == ("layers.*.width>=8", "layers.*.width>=16", "layers.*.width>=32")
    features = layout.extract([Architecture({"layers.0.width": 32, "layers.1.width": 16})])
    assert features.counts.tolist() == [[2, 2, 1]]


def test_one_and_true_are_different_answers_of_a_group() -> None:
    space = SearchSpace({"a.0": Categorical(1, 2), "a.1": Categorical(True, False)})
    assert FeatureLayout.of(space).count_columns == ("a.*=1", "a.*=2", "a.*=True", "a.*=False")


@pytest.mark.parametrize(
    ("name", "group"),
    [("layers.3.mixer", "layers.*.mixer"), ("stages.0.blocks.12", "stages.*.blocks.*"), ("conv3", "conv3")],
)
def test_groups_drop_numeric_parts_only(name: str, group: str) -> None:
    assert group_name(name) == group
