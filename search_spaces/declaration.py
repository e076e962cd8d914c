"""Whether choices, conditions and constraints make a well-formed space.  Owns those rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.choice import Choice
from search_spaces.constraint import Condition, Constraint
from search_spaces.errors import SpaceError, UnknownChoice, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RESERVED = "*?[]="  # patterns of `narrow`, and the sign between name and value in a column


def check_declaration(
    choices: Mapping[str, Choice],
    conditions: Mapping[str, Sequence[Condition]],
    constraints: Sequence[Constraint],
) -> None:
    """Raise SpaceError or UnknownChoice with the first thing that is wrong."""
    if not choices:
        raise SpaceError("a search space needs at least one choice")
    for name, choice in choices.items():
        _check_name(name)
        if not isinstance(choice, Choice):
            raise SpaceError(f"{name!r} must be Categorical(...) or Ordinal(...), got {choice!r}")
    position_of = {name: position for position, name in enumerate(choices)}
    for name, listed in conditions.items():
        if name not in choices:
            raise UnknownChoice(f"conditions: {unknown_name('choice', name, choices)}")
        for condition in listed:
            _check_condition(name, condition, choices, position_of)
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise SpaceError(f"constraints must be Constraint(...) objects, got {constraint!r}")
        for name in constraint.choices:
            if name not in choices:
                raise UnknownChoice(f"constraint {constraint.message!r}: " + unknown_name("choice", name, choices))


def _check_name(name: object) -> None:
    if type(name) is not str or not name or name != name.strip():
        raise SpaceError(f"the name of a choice is a non-empty string without spaces around it, got {name!r}")
    reserved = [sign for sign in _RESERVED if sign in name]
    if reserved:
        raise SpaceError(f"the name {name!r} contains {reserved[0]!r}, which has a meaning of its own; rename it")


def _check_condition(
    name: str, condition: Condition, choices: Mapping[str, Choice], position_of: Mapping[str, int]
) -> None:
    if not isinstance(condition, Condition):
        raise SpaceError(f"the conditions of {name!r} must be Condition(...) objects, got {condition!r}")
    other = condition.choice
    if other not in choices:
        raise UnknownChoice(f"condition of {name!r}: {unknown_name('choice', other, choices)}")
    if position_of[other] >= position_of[name]:
        raise SpaceError(f"{name!r} depends on {other!r}, which must be declared before it; change the order")
    values = choices[other].values
    # Numbers may lie outside: a layer exists for every depth above its own, listed by `layered` without
    # knowing which depths are offered.  A name that is not offered is a misspelling.
    for value in condition.values:
        if isinstance(value, str) and value not in values:
            raise SpaceError(f"condition of {name!r}: " + unknown_name(f"value of {other!r}", value, map(str, values)))
    if not any(condition.accepts(value) for value in values):
        raise SpaceError(
            f"{name!r} could never be active: {other!r} is never one of {list(condition.values)!r}; "
            f"it can be {', '.join(map(repr, values))}"
        )
