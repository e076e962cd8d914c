"""The time-delay network's space: names, order, activity, options."""

from __future__ import annotations

import pytest

from search_spaces import Architecture, Categorical, Ordinal, SpaceError, load_space


def test_names_and_kinds() -> None:
    space = load_space("tdnn", depth=(1, 2))
    assert space.names == (
        "depth", "aggregation", "pooled", "embedding",
        "layers.0.width", "layers.0.kernel", "layers.1.width", "layers.1.kernel",
    )  # fmt: skip
    assert space.choices["aggregation"] == Categorical("last", "all")
    assert space.choices["layers.1.kernel"] == Ordinal(1, 3, 5)


def test_size_in_closed_form() -> None:
    block = 3 * 3
    assert load_space("tdnn").size() == 2 * 2 * 2 * (block**2 + block**3 + block**4)


def test_smallest_and_largest() -> None:
    space = load_space("tdnn", depth=(1, 2))
    small = {"depth": 1, "aggregation": "last", "pooled": 64, "embedding": 32}
    assert space.smallest() == Architecture({**small, "layers.0.width": 32, "layers.0.kernel": 1})
    large = {"depth": 2, "aggregation": "all", "pooled": 96, "embedding": 64}
    blocks = {f"layers.{i}.{name}": value for i in (0, 1) for name, value in (("width", 64), ("kernel", 5))}
    assert space.largest() == Architecture({**large, **blocks})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": [1, 4]}, "tdnn: option 'kernel' takes some of 1, 3, 5, 7, 9, 11, got 4"),
        ({"aggregation": "first"}, "option 'aggregation'"),
        ({"depth": 0}, "got 0"),
        ({"bits": 8}, "tdnn: .*'bits'"),
    ],
)
def test_wrong_options_are_explained(options: dict, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        load_space("tdnn", **options)
