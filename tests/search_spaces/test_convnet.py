"""The convolutional network's space: names, order, activity, options."""

from __future__ import annotations

import random

import pytest

from search_spaces import Architecture, Categorical, Ordinal, SpaceError, load_space


def test_names_and_kinds() -> None:
    space = load_space("convnet", stages=2, depth=(1, 2))
    block = ("attention", "kernel", "expansion")
    assert space.names == tuple(
        name
        for s in (0, 1)
        for name in (
            f"stages.{s}.depth",
            f"stages.{s}.width",
            *(f"stages.{s}.blocks.{b}.{choice}" for b in (0, 1) for choice in block),
        )
    )
    assert space.choices["stages.1.blocks.0.attention"] == Categorical("none", "eca", "se")
    assert space.choices["stages.0.blocks.1.kernel"] == Ordinal(3, 5, 7)
    assert space.choices["stages.0.blocks.1.expansion"] == Ordinal(2, 3, 4)
    assert space.choices["stages.1.depth"] == Ordinal(1, 2)


def test_each_stage_is_twice_as_wide_as_the_one_before() -> None:
    space = load_space("convnet", stages=3, width=(24, 16))
    widths = [space.choices[f"stages.{s}.width"].values for s in range(3)]
    assert widths == [(16, 24), (32, 48), (64, 96)]


def test_size_in_closed_form() -> None:
    block = 3 * 3 * 3
    stage = 3 * (block + block**2 + block**3)
    assert load_space("convnet").size() == stage**2


def test_a_blocks_choices_are_active_where_the_block_exists() -> None:
    space, rng = load_space("convnet", stages=3), random.Random(0)
    for _ in range(200):
        architecture = space.sample_balanced(rng)
        for stage in range(3):
            depth = architecture[f"stages.{stage}.depth"]
            assert isinstance(depth, int)
            for block in range(3):
                for choice in ("attention", "kernel", "expansion"):
                    assert (f"stages.{stage}.blocks.{block}.{choice}" in architecture) == (block < depth)


def test_smallest_and_largest() -> None:
    space = load_space("convnet", stages=1, depth=(1, 2))
    block = {"attention": "none", "kernel": 3, "expansion": 2}
    assert space.smallest() == Architecture(
        {"stages.0.depth": 1, "stages.0.width": 16, **{f"stages.0.blocks.0.{n}": v for n, v in block.items()}}
    )
    block = {"attention": "se", "kernel": 7, "expansion": 4}
    assert space.largest() == Architecture(
        {
            "stages.0.depth": 2,
            "stages.0.width": 32,
            **{f"stages.0.blocks.{b}.{n}": v for b in (0, 1) for n, v in block.items()},
        }
    )


def test_a_single_depth_may_be_asked_for() -> None:
    space = load_space("convnet", depth=2, attention="none", kernel=3)
    assert space.size() == (3 * 3**2) ** 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": (2, 3)}, r"convnet: option 'stages' .* takes one number, got 2, 3"),
        ({"stages": 0}, "at least 1"),
        ({"stages": 9}, "at most 8"),
        ({"kernel": [4]}, "option 'kernel' takes some of 3, 5, 7, got 4"),
        ({"kernel": "3"}, "option 'kernel'"),
        ({"attention": ["sa"]}, "option 'attention'"),
        ({"expansion": 1.5}, "option 'expansion'"),
        ({"width": 0}, "got 0"),
        ({"depth": 65}, "at most 64"),
        ({"bits": 8}, "option 'bits'"),
    ],
)
def test_wrong_options_are_explained(options: dict, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        load_space("convnet", **options)
