"""Families by name: look-up, misspellings, duplicates, descriptions."""

from __future__ import annotations

import pytest

from search_spaces import (
    Choice,
    Family,
    SearchSpace,
    UnknownChoice,
    UnknownSpace,
    WholeNumbers,
    describe_space,
    load_space,
    space_family,
    space_names,
)


def _build(*, size: Choice) -> SearchSpace:
    return SearchSpace({"size": size})


def test_unknown_names_list_the_nearest_and_all() -> None:
    with pytest.raises(UnknownSpace, match=r"did you mean 'vision_transformer'\? Allowed: .*vision_transformer"):
        load_space("vision_transfomer")
    with pytest.raises(UnknownChoice, match=r"vision_transformer: .*did you mean 'depth'\? Allowed: depth, width"):
        load_space("vision_transformer", dept=3)


def test_a_family_of_another_origin_gives_its_space_itself() -> None:
    toy = Family(
        name="toy",
        summary="One number",
        options=(WholeNumbers(name="size", about="the number", default=(1, 2)),),
        build=_build,
    )
    assert toy.space({"size": [3, 1, 2]}).choices["size"].values == (1, 2, 3)
    with pytest.raises(UnknownChoice, match=r"toy: .*did you mean 'size'"):
        toy.space({"sise": 1})
    (option,) = toy.describe().options
    assert (option.name, option.default) == ("size", (1, 2))


def test_a_built_in_family_by_name() -> None:
    assert space_family("vision_transformer").describe() == describe_space("vision_transformer")


@pytest.mark.parametrize("name", space_names())
def test_every_family_describes_itself_and_loads_its_defaults(name: str) -> None:
    described = describe_space(name)
    assert described.name == name
    assert described.summary
    assert "\n" not in described.summary
    defaults = {option.name: option.default for option in described.options}
    assert all(option.about for option in described.options)
    assert load_space(name, **defaults).digest == load_space(name).digest
