"""Families of search spaces by name.  Owns the look-up; each family's file owns its options and its space.

The built-in families are listed in `library/__init__.py`.  Whoever has a `Family` of another origin asks it for its
space directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_spaces.errors import SpaceError, UnknownChoice, UnknownSpace, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from search_spaces.options import Option
    from search_spaces.space import SearchSpace
    from search_spaces.values import Value


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

    def describe(self) -> SpaceDescription:
        """What this family is and which options it has."""
        return SpaceDescription(
            name=self.name,
            summary=self.summary,
            options=tuple(
                OptionDescription(name=option.name, about=option.about, default=option.default)
                for option in self.options
            ),
        )


def space_family(name: str, /) -> Family:
    """The built-in family of this name; UnknownSpace names the nearest."""
    families = _families()
    if name not in families:
        raise UnknownSpace(unknown_name("search space", name, sorted(families)))
    return families[name]


def space_names() -> tuple[str, ...]:
    """The names that `load_space` knows, sorted."""
    return tuple(sorted(_families()))


def load_space(name: str, /, **options: object) -> SearchSpace:
    """The space of a family; each option is a value or a list of values and replaces the family's default."""
    return space_family(name).space(options)


def describe_space(name: str, /) -> SpaceDescription:
    """What a family is and which options it has."""
    return space_family(name).describe()


def _families() -> dict[str, Family]:
    from search_spaces.library import FAMILIES  # which imports this module for `Family`

    return {family.name: family for family in FAMILIES}
