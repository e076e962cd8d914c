"""Families by name: look-up, misspellings, duplicates, descriptions."""

from __future__ import annotations

import pytest

from search_spaces import (
    Choice,
    Family,
    Registry,
    SearchSpace,
    SpaceError,
    UnknownChoice,
    UnknownSpace,
    WholeNumbers,
    describe_space,
    load_space,
    register_space,
    registry,
    space_names,
)


def _build(*, size: Choice) -> SearchSpace:
    return SearchSpace({"size": size})


_TOY = Family(
    name="toy",
    summary="One number",
    options=(WholeNumbers(name="size", about="the number", default=(1, 2)),),
    build=_build,
)


def test_unknown_names_list_the_nearest_and_all() -> None:
    with pytest.raises(UnknownSpace, match=r"did you mean 'vision_transformer'\? Allowed: .*vision_transformer"):
        load_space("vision_transfomer")
    with pytest.raises(UnknownChoice, match=r"vision_transformer: .*did you mean 'depth'\? Allowed: depth, width"):
        load_space("vision_transformer", dept=3)


def test_names_are_registered_once() -> None:
    toys = Registry((_TOY,))
    assert toys.names() == ("toy",)
    with pytest.raises(SpaceError, match="'toy' exists already"):
        toys.add(_TOY)


def test_a_registered_family_is_loaded_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Registry((_TOY,))
    monkeypatch.setattr(registry, "_registry", lambda: fresh)
    register_space(Family(name="another", summary="As toy", options=_TOY.options, build=_build))
    assert space_names() == ("another", "toy")
    assert load_space("another", size=[3, 1, 2]).choices["size"].values == (1, 2, 3)


@pytest.mark.parametrize("name", space_names())
def test_every_family_describes_itself_and_loads_its_defaults(name: str) -> None:
    described = describe_space(name)
    assert described.name == name
    assert described.summary
    assert "\n" not in described.summary
    defaults = {option.name: option.default for option in described.options}
    assert all(option.about for option in described.options)
    assert load_space(name, **defaults).digest == load_space(name).digest
