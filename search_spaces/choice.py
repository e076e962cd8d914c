"""One decision and its allowed values, ordered or not.  When a choice is active is not known here."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from search_spaces.errors import SpaceError
from search_spaces.values import Value, canonical_json, identity, read_value


@dataclass(frozen=True, init=False, eq=False)
class Choice(ABC):
    """The allowed values of one decision, listed from the smallest to the largest."""

    kind: ClassVar[str]
    values: tuple[Value, ...]

    def __init__(self, *values: Value) -> None:
        if type(self) is Choice:
            raise SpaceError("a choice is Categorical(...) or Ordinal(...); use one of them")
        if not values:
            raise SpaceError(f"{type(self).__name__}() has no values; list at least one")
        if len(values) == 1 and isinstance(values[0], list | tuple):
            raise SpaceError(
                f"{type(self).__name__} takes the values themselves; "
                f"write {type(self).__name__}(*values), not {type(self).__name__}({values[0]!r})"
            )
        read = tuple(self._read(value) for value in values)
        self._refuse_equal_values(read)
        object.__setattr__(self, "values", read)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Choice):
            return NotImplemented
        return self.kind == other.kind and self._written() == other._written()

    def __hash__(self) -> int:
        return hash((self.kind, self._written()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.values))})"

    def index(self, value: object) -> int | None:
        """The position of `value`, or None if it is not allowed; 1, 1.0 and True are three values."""
        for position, allowed in enumerate(self.values):
            if type(allowed) is type(value) and allowed == value:
                return position
        return None

    def narrowed(self, values: tuple[Value, ...]) -> Choice:
        """The same kind of choice with those of its values that are listed, in its own order."""
        wanted = {identity(value) for value in values}
        return type(self)(*(value for value in self.values if identity(value) in wanted))

    def _written(self) -> str:
        return canonical_json(self.values)

    def _read(self, value: object) -> Value:
        try:
            return read_value(value)
        except ValueError as error:
            raise SpaceError(f"{type(self).__name__}: {error}") from error

    def _refuse_equal_values(self, values: tuple[Value, ...]) -> None:
        for position, value in enumerate(values):
            for earlier in values[:position]:
                if earlier == value:  # also 1 == 1.0 == True: Python's dictionaries would confuse them
                    raise SpaceError(
                        f"{type(self).__name__} lists {earlier!r} and {value!r}, which are equal; keep one"
                    )


class Categorical(Choice):
    """A choice whose values have no arithmetic; listing the cheapest first gives `smallest()` its meaning."""

    kind = "categorical"


class Ordinal(Choice):
    """A choice among ascending numbers, whose neighbours are the next smaller and the next larger."""

    kind = "ordinal"

    def __init__(self, *values: int | float) -> None:
        super().__init__(*values)
        numbers: list[int | float] = []
        for value in self.values:
            if isinstance(value, bool | str):
                raise SpaceError(f"Ordinal needs numbers, got {value!r}; Categorical takes names and switches")
            numbers.append(value)
        if any(left >= right for left, right in pairwise(numbers)):
            raise SpaceError(f"Ordinal needs ascending values, got {numbers}; write {sorted(numbers)}")
