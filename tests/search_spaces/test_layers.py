"""Choices repeated in every layer."""

from __future__ import annotations

import pytest

from search_spaces import Categorical, Ordinal, SearchSpace, SpaceError, layered, per_layer


def test_layers_that_do_not_exist_are_not_answered() -> None:
    mixers = per_layer("mixer", Categorical("conv", "softmax"), depth="depth", layers=4)
    space = SearchSpace({"depth": Ordinal(2, 4), **mixers.choices}, conditions=mixers.conditions)
    assert space.names == ("depth", "layers.0.mixer", "layers.1.mixer", "layers.2.mixer", "layers.3.mixer")
    assert space.size() == 2**2 + 2**4
    assert set(space.smallest()) == {"depth", "layers.0.mixer", "layers.1.mixer"}


def test_without_depth_every_layer_exists() -> None:
    choices, conditions = per_layer("bits", Ordinal(4, 8, 32), depth=None, layers=3)
    assert SearchSpace(choices, conditions=conditions).size() == 3**3


def test_choices_of_a_layer_stand_together_and_may_depend_on_each_other() -> None:
    made = layered(
        {"mixer": Categorical("conv", "softmax"), "heads": Ordinal(1, 2)},
        layers=2,
        when={"heads": {"mixer": ("softmax",)}},
    )
    assert list(made.choices) == ["layers.0.mixer", "layers.0.heads", "layers.1.mixer", "layers.1.heads"]
    space = SearchSpace({"depth": Ordinal(1, 2), **made.choices}, conditions=made.conditions)
    assert space.size() == 3 + 3**2


@pytest.mark.parametrize("layers", [0, -1, "4", 2.0, True])
def test_the_number_of_layers_is_checked(layers: object) -> None:
    with pytest.raises(SpaceError, match="whole number of at least 1"):
        per_layer("mixer", Ordinal(1), layers=layers)  # type: ignore[arg-type]


def test_a_rule_for_an_unknown_choice_is_refused() -> None:
    with pytest.raises(SpaceError, match="'head' is none of the layer's choices: heads"):
        layered({"heads": Ordinal(1)}, layers=1, when={"head": {"heads": (1,)}})
