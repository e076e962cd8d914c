"""A space that is given as a whole: a study narrows it by naming choices."""

from __future__ import annotations

import pytest

from search_spaces import Categorical, GivenSpace, Ordinal, SearchSpace, SpaceError, UnknownChoice, layered


def family() -> GivenSpace:
    layers = layered({"heads": Ordinal(1, 2, 4), "mixer": Categorical("a", "b")}, layers=3)
    choices = {"depth": Ordinal(1, 2, 3), **layers.choices, "end.0.width": Ordinal(4, 8), "end.1.width": Ordinal(8, 16)}
    return GivenSpace(name="mine", summary="A net", whole=SearchSpace(choices, conditions=layers.conditions))


def test_without_choices_it_is_the_whole() -> None:
    assert family().space({}).describe() == family().whole.describe()


def test_names_and_patterns_narrow() -> None:
    space = family().space({"layers.*.heads": [2, 4], "layers.0.heads": 4, "depth": 2})
    assert space.choices["layers.0.heads"].values == (4,)
    assert space.choices["layers.1.heads"].values == (2, 4)
    assert space.choices["layers.1.mixer"].values == ("a", "b")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {"layers.*.head": 2},
            UnknownChoice,
            r"mine: there is no choice 'layers\.\*\.head'; did you mean 'layers.2.heads'",
        ),
        ({"depth": 7}, SpaceError, "mine: 'depth' cannot be narrowed to 7, .* 1, 2, 3"),
        ({"depth": []}, SpaceError, "mine: 'depth' must keep at least one value"),
        ({"depth": [1, 1]}, SpaceError, "mine: 'depth' lists a value twice"),
        ({"layers.*.heads": [1], "layers.0.heads": [2]}, SpaceError, "no value in common"),
    ],
)
def test_what_does_not_narrow_it_is_refused(given: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        family().space(given)


def test_like_layers_are_described_once() -> None:
    options = {option.name: option for option in family().describe().options}
    assert list(options) == ["depth", "layers.*.heads", "layers.*.mixer", "end.0.width", "end.1.width"]
    assert options["layers.*.heads"].default == (1, 2, 4)
    assert options["layers.*.heads"].about == "ordinal choice, 3 times"
