"""Spaces that are not well formed are refused with the name of the culprit."""

from __future__ import annotations

from typing import Any

import pytest

from search_spaces import Categorical, Condition, Constraint, Ordinal, SearchSpace, SpaceError, UnknownChoice

_TWO: dict[str, Any] = {"depth": Ordinal(1, 2), "mixer": Categorical("conv", "softmax")}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"choices": {}}, SpaceError, "at least one choice"),
        ({"choices": {"": Ordinal(1)}}, SpaceError, "non-empty string"),
        ({"choices": {3: Ordinal(1)}}, SpaceError, "string"),
        ({"choices": {" a": Ordinal(1)}}, SpaceError, "without spaces"),
        ({"choices": {"a*": Ordinal(1)}}, SpaceError, r"contains '\*'"),
        ({"choices": {"a=b": Ordinal(1)}}, SpaceError, "contains '='"),
        ({"choices": {"a": (1, 2)}}, SpaceError, r"Ordinal\(\.\.\.\), got \(1, 2\)"),
        ({"conditions": {"mixr": Condition("depth", (1,))}}, UnknownChoice, "did you mean 'mixer'"),
        ({"conditions": {"mixer": Condition("dept", (1,))}}, UnknownChoice, "did you mean 'depth'"),
        ({"conditions": {"depth": Condition("mixer", ("conv",))}}, SpaceError, "declared before"),
        ({"conditions": {"depth": Condition("depth", (1,))}}, SpaceError, "declared before"),
        ({"conditions": {"mixer": ["depth"]}}, SpaceError, r"Condition\(\.\.\.\) objects"),
        ({"conditions": {"mixer": Condition("depth", (7,))}}, SpaceError, "could never be active"),
        ({"constraints": [lambda a: True]}, SpaceError, r"Constraint\(\.\.\.\) objects"),
        (
            {"constraints": [Constraint(("dpth",), bool, "rule")]},
            UnknownChoice,
            "'rule'.*did you mean 'depth'",
        ),
    ],
)
def test_malformed_spaces(arguments: dict[str, Any], error: type[SpaceError], message: str) -> None:
    with pytest.raises(error, match=message):
        SearchSpace(**{"choices": _TWO, **arguments})


def test_a_misspelt_name_in_a_condition_is_found() -> None:
    with pytest.raises(SpaceError, match="did you mean 'softmax'"):
        SearchSpace({**_TWO, "heads": Ordinal(1)}, conditions={"heads": Condition("mixer", ("softmx", "conv"))})


def test_numbers_outside_the_offered_ones_are_allowed_in_a_condition() -> None:
    space = SearchSpace({**_TWO, "late": Ordinal(1)}, conditions={"late": Condition("depth", (2, 3, 4))})
    assert space.size() == 4
