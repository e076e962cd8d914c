"""Vectors: round trips, column names, and decoding what no architecture encodes to."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Architecture, Categorical, Condition, InvalidArchitecture, Ordinal, SearchSpace
from tests.search_spaces.spaces import spaces


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(
        {"depth": Ordinal(2, 3, 4, 8), "mixer": Categorical("conv", "softmax"), "heads": Ordinal(1, 2)},
        conditions={"heads": Condition("mixer", ("softmax",))},
    )


def test_layout(space: SearchSpace) -> None:
    assert space.columns == ("depth", "mixer=conv", "mixer=softmax", "heads")
    assert space.encode({"depth": 3, "mixer": "conv"}) == (0.5, 1.0, 0.0, 0.0)
    assert space.encode({"depth": 8, "mixer": "softmax", "heads": 1}) == (1.0, 0.0, 1.0, 0.5)


def test_values_that_look_alike_get_columns_of_their_own() -> None:
    assert SearchSpace({"a": Categorical(1, "1")}).columns == ("a=1", 'a="1"')


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_decode_inverts_encode(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(random.Random(seed))
    vector = space.encode(architecture)
    assert len(vector) == len(space.columns) == len(set(space.columns))
    assert space.decode(vector) == architecture


@given(spaces(), st.data())
@settings(max_examples=60, deadline=None)
def test_any_finite_vector_decodes_into_the_space(space: SearchSpace, data: st.DataObject) -> None:
    width = len(space.columns)
    vector = data.draw(st.lists(st.floats(-2, 2), min_size=width, max_size=width))
    assert space.contains(space.decode(vector))


def test_encodings_differ(space: SearchSpace) -> None:
    assert len({space.encode(architecture) for architecture in space.enumerate()}) == space.size()


def test_decode_takes_the_nearest(space: SearchSpace) -> None:
    assert space.decode([0.6, 0.2, 0.3, 0.9]) == Architecture({"depth": 3, "mixer": "softmax", "heads": 2})


@pytest.mark.parametrize("vector", [[0.5], [0.5, 1.0, 0.0, math.nan], [0.5, 1.0, 0.0, math.inf]])
def test_bad_vectors_are_refused(space: SearchSpace, vector: list[float]) -> None:
    with pytest.raises(InvalidArchitecture, match=r"columns|finite"):
        space.decode(vector)
