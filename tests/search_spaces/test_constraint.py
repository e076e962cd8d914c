"""Condition and Constraint: what they refuse, and what `holds` is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from search_spaces import Categorical, Condition, Constraint, Ordinal, SearchSpace, SpaceError, Value

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Condition("a", ()), "non-empty tuple"),
        (lambda: Condition("a", "softmax"), "non-empty tuple"),  # type: ignore[arg-type]
        (lambda: Condition("a", 3), "non-empty tuple"),  # type: ignore[arg-type]
        (lambda: Condition("a", (None,)), "NoneType"),  # type: ignore[arg-type]
        (lambda: Constraint((), bool, "rule"), "non-empty tuple"),
        (lambda: Constraint("depth", bool, "rule"), "non-empty tuple"),  # type: ignore[arg-type]
        (lambda: Constraint(("a", "a"), bool, "rule"), "named twice"),
        (lambda: Constraint(("a",), None, "rule"), "function"),  # type: ignore[arg-type]
        (lambda: Constraint(("a",), bool, " "), "in words"),
    ],
)
def test_malformed_declarations_are_refused(make: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()  # type: ignore[operator]


def test_conditions_tell_types_apart() -> None:
    condition = Condition("a", [1, "x"])  # type: ignore[arg-type]
    assert condition.values == (1, "x")
    assert [condition.accepts(value) for value in (1, "x", True, 1.0, "1")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_holds_is_given_only_active_choices_and_never_nothing() -> None:
    given: list[dict[str, Value]] = []

    def record(answers: Mapping[str, Value]) -> bool:
        given.append(dict(answers))
        return True

    SearchSpace(
        {"on": Categorical(False, True), "a": Ordinal(1, 2), "b": Ordinal(3, 4)},
        conditions={"a": Condition("on", (True,)), "b": (Condition("on", (True,)), Condition("a", (2,)))},
        constraints=[Constraint(("a", "b"), record, "any")],
    )
    assert {} not in given
    assert {tuple(answers.items()) for answers in given} == {
        (("a", 1),),
        (("a", 2), ("b", 3)),
        (("a", 2), ("b", 4)),
    }


def test_a_rule_that_raises_is_named() -> None:
    with pytest.raises(SpaceError, match=r"'b needs a' raised KeyError: 'b' for \{'a': 1\}; .*\.get") as caught:
        SearchSpace(
            {"a": Ordinal(1, 2), "b": Ordinal(1, 2)},
            conditions={"b": Condition("a", (2,))},
            constraints=[Constraint(("a", "b"), lambda a: a["b"] > 0, "b needs a")],
        )
    assert isinstance(caught.value.__cause__, KeyError)
