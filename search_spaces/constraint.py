"""When a choice is active, and which combinations of answers are allowed.

Owns the two declarations; `counting.py` evaluates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from search_spaces.errors import SpaceError
from search_spaces.values import Value, identity, read_value

Holds: TypeAlias = Callable[[Mapping[str, Value]], bool]


@dataclass(frozen=True)
class Condition:
    """Its owner is active only where `choice` is active and the answer to that is one of `values`."""

    choice: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not _is_listed(self.values):
            raise SpaceError(f"Condition on {self.choice!r}: values must be a non-empty tuple, got {self.values!r}")
        try:
            object.__setattr__(self, "values", tuple(read_value(value) for value in self.values))
        except ValueError as error:
            raise SpaceError(f"Condition on {self.choice!r}: {error}") from error

    def accepts(self, value: Value) -> bool:
        """Whether the answer `value` lets the choice be active."""
        return identity(value) in {identity(allowed) for allowed in self.values}


@dataclass(frozen=True)
class Constraint:
    """A rule over a few choices.

    `holds` is given the answers of those of its choices that are active, and is not asked where none is.  It
    must be a pure function: its results decide counts that are kept.  `message` states the rule, for people.
    """

    choices: tuple[str, ...]
    holds: Holds
    message: str

    def __post_init__(self) -> None:
        if not _is_listed(self.choices):
            raise SpaceError(f"Constraint: choices must be a non-empty tuple of names, got {self.choices!r}")
        if len(set(self.choices)) != len(self.choices):
            raise SpaceError(f"Constraint: a choice is named twice in {self.choices!r}; name each once")
        if not callable(self.holds):
            raise SpaceError(f"Constraint: holds must be a function of the answers, got {self.holds!r}")
        if not self.message.strip():
            raise SpaceError("Constraint: message must state the rule in words, for those who break it")
        object.__setattr__(self, "choices", tuple(self.choices))

    def allows(self, answers: Mapping[str, Value]) -> bool:
        """Ask `holds`, and say which rule it was if it raises."""
        if not answers:
            return True
        try:
            return bool(self.holds(answers))
        except Exception as error:
            raise SpaceError(
                f"the constraint {self.message!r} raised {type(error).__name__}: {error} for {answers!r};"
                " it is given only the choices that are active, so read the others with .get(name)"
            ) from error


def _is_listed(given: object) -> bool:
    return isinstance(given, list | tuple) and len(given) > 0
