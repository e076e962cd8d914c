"""Fewer values for some choices, named exactly or by a pattern.  Owns what a pattern matches."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from search_spaces.errors import SpaceError, UnknownChoice, unknown_name
from search_spaces.values import Value, as_values, identity, read_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from search_spaces.choice import Choice


def narrowed(choices: Mapping[str, Choice], wanted: Mapping[str, Value | Sequence[Value]]) -> dict[str, Choice]:
    """The choices with only the wanted values; where several patterns match, what all of them want."""
    left = dict(choices)
    for pattern, given in wanted.items():
        values = _read(pattern, given)
        matched = [pattern] if pattern in choices else [name for name in choices if fnmatchcase(name, pattern)]
        if not matched:
            raise UnknownChoice(unknown_name("choice", pattern, choices))
        for name in matched:
            _refuse_foreign(name, values, choices[name])
            both = [value for value in values if left[name].index(value) is not None]
            if not both:
                raise SpaceError(
                    f"{name!r} is matched by several entries that have no value in common: {list(wanted)!r}"
                )
            left[name] = left[name].narrowed(tuple(both))
    return left


def _read(pattern: str, given: object) -> tuple[Value, ...]:
    values = as_values(given)
    if not values:
        raise SpaceError(f"{pattern!r} must keep at least one value, got none")
    try:
        read = tuple(read_value(value) for value in values)
    except ValueError as error:
        raise SpaceError(f"{pattern!r}: {error}") from error
    if len({identity(value) for value in read}) < len(read):
        raise SpaceError(f"{pattern!r} lists a value twice: {list(read)!r}")
    return read


def _refuse_foreign(name: str, values: Sequence[Value], choice: Choice) -> None:
    for value in values:
        if choice.index(value) is None:
            raise SpaceError(
                f"{name!r} cannot be narrowed to {value!r}, which is none of its values: "
                f"{', '.join(map(repr, choice.values))}"
            )
