"""Categorical and Ordinal refuse what would be ambiguous."""

from __future__ import annotations

import math

import pytest

from search_spaces import Categorical, Choice, Ordinal, SpaceError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Categorical(), "no values"),
        (lambda: Categorical("a", "a"), "equal; keep one"),
        (lambda: Categorical(1, True), "1 and True, which are equal"),
        (lambda: Categorical(1, 1.0), "equal"),
        (lambda: Categorical(("a", "b")), r"Categorical\(\*values\)"),
        (lambda: Categorical(None), "NoneType"),
        (lambda: Ordinal(2, 1), r"ascending values, got \[2, 1\]; write \[1, 2\]"),
        (lambda: Ordinal(1, 1), "equal"),
        (lambda: Ordinal("1", "2"), "numbers, got '1'"),
        (lambda: Ordinal(False, True), "numbers, got False"),
        (lambda: Ordinal(1, math.nan), "finite"),
        (lambda: Choice(1), "Categorical"),
    ],
)
def test_ambiguous_values_are_refused(make: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()  # type: ignore[operator]


def test_index_tells_types_apart() -> None:
    choice = Categorical(1, "1", 2.0)
    assert [choice.index(value) for value in (1, "1", 2.0)] == [0, 1, 2]
    assert [choice.index(value) for value in (True, 1.0, 2, "2.0", None, [])] == [None] * 6


def test_equality_is_by_kind_and_written_values() -> None:
    assert Ordinal(1, 2) == Ordinal(1, 2)
    assert hash(Ordinal(1, 2)) == hash(Ordinal(1, 2))
    assert Ordinal(1, 2) != Ordinal(1.0, 2.0)
    assert Ordinal(1, 2) != Categorical(1, 2)
    assert repr(Categorical("a", 1)) == "Categorical('a', 1)"


def test_narrowed_keeps_the_order_and_the_kind() -> None:
    assert Ordinal(1, 2, 3).narrowed((3, 1)) == Ordinal(1, 3)
