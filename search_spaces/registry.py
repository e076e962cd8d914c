"""Families of search spaces by name.  Owns the look-up; each family's file owns its options and its space.

Nothing is registered by an import: the built-in families are listed in `library/__init__.py`, and
`register_space` adds others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from search_spaces.errors import SpaceError, UnknownChoice, UnknownSpace, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from search_spaces.options import Option
    from search_spaces.space import SearchSpace
    from search_spaces.values import Value


@dataclass(frozen=True, kw_only=True)
class Family:
    """A search space with options: `build` is given the choice that each option was read into."""

    name: str
    summary: str
    options: tuple[Option, ...]
    build: Callable[..., SearchSpace]

    def space(self, given: Mapping[str, object]) -> SearchSpace:
        """The space with these options; what is not given keeps its default."""
        names = [option.name for option in self.options]
        for name in given:
            if name not in names:
                raise UnknownChoice(f"{self.name}: {unknown_name('option', name, names)}")
        try:
            read = {option.name: option.read(given.get(option.name, option.default)) for option in self.options}
        except SpaceError as error:
            raise SpaceError(f"{self.name}: {error}") from error
        return self.build(**read)


@dataclass(frozen=True, kw_only=True)
class OptionDescription:
    """What a user needs to know of one option."""

    name: str
    about: str
    default: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class SpaceDescription:
    """What a user needs to know of one family."""

    name: str
    summary: str
    options: tuple[OptionDescription, ...]


class Registry:
    """Families by name; a name is registered once."""

    def __init__(self, families: tuple[Family, ...] = ()) -> None:
        self._families: dict[str, Family] = {}
        for family in families:
            self.add(family)

    def add(self, family: Family) -> None:
        """Register a family; its name must be free."""
        if family.name in self._families:
            raise SpaceError(f"a search space named {family.name!r} exists already; choose another name")
        self._families[family.name] = family

    def names(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return tuple(sorted(self._families))

    def get(self, name: str) -> Family:
        """The family of this name; UnknownSpace names the nearest."""
        if name not in self._families:
            raise UnknownSpace(unknown_name("search space", name, self.names()))
        return self._families[name]


@cache
def _registry() -> Registry:
    from search_spaces.library import FAMILIES

    return Registry(FAMILIES)


def register_space(family: Family) -> None:
    """Add a family, for this process, to those that `load_space` knows."""
    _registry().add(family)


def space_names() -> tuple[str, ...]:
    """The names that `load_space` knows, sorted."""
    return _registry().names()


def load_space(name: str, /, **options: object) -> SearchSpace:
    """The space of a family; each option is a value or a list of values and replaces the family's default."""
    return _registry().get(name).space(options)


def describe_space(name: str, /) -> SpaceDescription:
    """What a family is and which options it has."""
    family = _registry().get(name)
    return SpaceDescription(
        name=family.name,
        summary=family.summary,
        options=tuple(
            OptionDescription(name=option.name, about=option.about, default=option.default) for option in family.options
        ),
    )
