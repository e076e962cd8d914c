"""The options of a family: how what a user wrote becomes a choice.

Owns the checks and messages for one option.  Which options a family has, its file in `library/` says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from search_spaces.choice import Categorical, Choice, Ordinal
from search_spaces.errors import SpaceError, unknown_name
from search_spaces.values import Value, as_values


@dataclass(frozen=True, kw_only=True)
class Option(ABC):
    """One option: its name, what it means, and the values it has when the user says nothing."""

    name: str
    about: str
    default: tuple[Value, ...]

    def read(self, given: object) -> Choice:
        """The choice among the given values: a list, a tuple, or a single value."""
        values = as_values(given)
        if not values:
            raise SpaceError(f"option {self.name!r} is empty; give a value, such as {self.default[0]!r}")
        for position, value in enumerate(values):
            if any(type(value) is type(earlier) and value == earlier for earlier in values[:position]):
                raise SpaceError(f"option {self.name!r} lists {value!r} twice; keep one")
        return self._choice(values)

    @abstractmethod
    def _choice(self, values: tuple[object, ...]) -> Choice: ...


@dataclass(frozen=True, kw_only=True)
class WholeNumbers(Option):
    """Whole numbers between two bounds; they may come in any order."""

    default: tuple[int, ...]
    minimum: int = 1
    maximum: int | None = None

    def _choice(self, values: tuple[object, ...]) -> Choice:
        return Ordinal(*sorted(self._number(value) for value in values))

    def _number(self, value: object) -> int:
        allowed = f"whole numbers of at least {self.minimum}"
        if self.maximum is not None:
            allowed += f" and at most {self.maximum}"
        if type(value) is not int:
            quoted = " (remove the quotes)" if isinstance(value, str) else ""
            raise SpaceError(
                f"option {self.name!r} takes {allowed}, got {value!r} of type {type(value).__name__}{quoted}"
            )
        if value < self.minimum or (self.maximum is not None and value > self.maximum):
            raise SpaceError(f"option {self.name!r} takes {allowed}, got {value}")
        return value


@dataclass(frozen=True, kw_only=True)
class Levels(Option):
    """Some of a few known whole numbers, from the smallest to the largest; what they cost need not follow them."""

    default: tuple[int, ...]
    allowed: tuple[int, ...]

    def _choice(self, values: tuple[object, ...]) -> Choice:
        for value in values:
            if type(value) is not int or value not in self.allowed:
                raise SpaceError(
                    f"option {self.name!r} takes some of {', '.join(map(str, self.allowed))}, got {value!r}"
                )
        return Categorical(*sorted(value for value in values if type(value) is int))


@dataclass(frozen=True, kw_only=True)
class Names(Option):
    """Some of a few known names, always put in the order of `allowed`, from the cheapest to the dearest."""

    default: tuple[str, ...]
    allowed: tuple[str, ...]

    def _choice(self, values: tuple[object, ...]) -> Choice:
        for value in values:
            if value not in self.allowed:
                raise SpaceError(f"option {self.name!r}: {unknown_name('value', value, self.allowed)}")
        return Categorical(*(name for name in self.allowed if name in values))
