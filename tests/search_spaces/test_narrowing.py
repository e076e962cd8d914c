"""Narrowed spaces are subsets; patterns match names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import InfeasibleSpace, SearchSpace, SpaceError, UnknownChoice, load_space
from tests.search_spaces.spaces import spaces


@given(spaces(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_narrowed_space_holds_exactly_the_matching_architectures(space: SearchSpace, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(space.names))
    values = space.choices[name].values
    kept = data.draw(st.lists(st.sampled_from(values), min_size=1, unique=True))
    expected = [a for a in space.enumerate() if name not in a or a[name] in kept]
    if not expected:
        with pytest.raises(InfeasibleSpace):
            space.narrow({name: kept})
        return
    assert list(space.narrow({name: kept}).enumerate()) == expected


@pytest.fixture
def transformer() -> SearchSpace:
    return load_space("vision_transformer")


def test_a_pattern_reaches_every_layer(transformer: SearchSpace) -> None:
    part = transformer.narrow({"depth": (2, 3), "layers.*.mixer": ("convolution",)})
    assert part.size() == 3 * 2 * ((3 * 2) ** 2 + (3 * 2) ** 3)  # three ratios, two numbers of bits
    assert part.names == transformer.names
    assert all(transformer.contains(part.architecture_at(index)) for index in range(0, part.size(), 7))
    assert part.choices["layers.3.mixer"].values == ("convolution",)


def test_several_entries_for_one_choice_keep_what_all_want(transformer: SearchSpace) -> None:
    for wanted in (
        {"layers.0.mixer": "softmax", "layers.*.mixer": ("convolution", "softmax")},
        {"layers.*.mixer": ("convolution", "softmax"), "layers.0.mixer": "softmax"},
    ):
        part = transformer.narrow(wanted)
        assert part.choices["layers.0.mixer"].values == ("softmax",)
        assert part.choices["layers.1.mixer"].values == ("convolution", "softmax")
    with pytest.raises(SpaceError, match="no value in common"):
        transformer.narrow({"layers.0.mixer": "softmax", "layers.*.mixer": "identity"})


def test_a_narrowed_space_can_be_narrowed_again(transformer: SearchSpace) -> None:
    part = transformer.narrow({"depth": 2}).narrow({"width": (64, 32)})
    assert part.choices["width"].values == (32, 64)
    assert part.smallest() == transformer.smallest()


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        ({"dept": 2}, UnknownChoice, "did you mean 'depth'"),
        (
            {"layers.*.mixr": "softmax"},
            UnknownChoice,
            r"'layers\.\*\.mixr'; did you mean 'layers\.\d\.mixer'",
        ),
        ({"depth": 5}, SpaceError, "narrowed to 5, which is none of its values: 2, 3, 4"),
        ({"depth": 2.0}, SpaceError, r"narrowed to 2\.0"),
        ({"depth": ()}, SpaceError, "at least one value"),
        ({"depth": (2, 2)}, SpaceError, "twice"),
        ({"depth": (None,)}, SpaceError, "NoneType"),
    ],
)
def test_what_cannot_be_narrowed(transformer: SearchSpace, wanted: dict, error: type[SpaceError], message: str) -> None:
    with pytest.raises(error, match=message):
        transformer.narrow(wanted)
