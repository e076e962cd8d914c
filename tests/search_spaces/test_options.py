"""How options are read: scalars, lists, order, and what is refused."""

from __future__ import annotations

import pytest

from search_spaces import Categorical, Names, Ordinal, SpaceError, WholeNumbers

_DEPTH = WholeNumbers(name="depth", about="layers", default=(2,), maximum=9)
_MIXER = Names(name="mixer", about="mixer", default=("conv",), allowed=("identity", "conv", "softmax"))


@pytest.mark.parametrize("given", [(3, 2), [2, 3], [3, 2]])
def test_numbers_are_put_in_order(given: object) -> None:
    assert _DEPTH.read(given) == Ordinal(2, 3)


def test_a_single_value_is_a_list_of_one() -> None:
    assert _DEPTH.read(4) == Ordinal(4)
    assert _MIXER.read("softmax") == Categorical("softmax")


def test_names_are_put_cheapest_first() -> None:
    assert _MIXER.read(["softmax", "identity"]) == Categorical("identity", "softmax")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "4",
            r"'depth' takes whole numbers of at least 1 and at most 9, got '4' .*\(remove the quotes\)",
        ),
        (["2", 3], "remove the quotes"),
        (2.0, "of type float"),
        (True, "of type bool"),
        (None, "of type NoneType"),
        (0, "got 0"),
        (10, "got 10"),
        ([], "empty"),
        ([2, 2], "lists 2 twice"),
        ([[2]], "of type list"),
        ({"a": 1}, "of type dict"),
    ],
)
def test_wrong_numbers_are_explained(given: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        _DEPTH.read(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("softmx", "did you mean 'softmax'\\? Allowed: identity, conv, softmax"),
        (3, "no value 3"),
        ([["conv"]], "no value"),
    ],
)
def test_wrong_names_are_explained(given: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        _MIXER.read(given)
