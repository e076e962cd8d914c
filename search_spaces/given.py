"""A family whose space is given as a whole: a study narrows it by naming choices.

Owns how such a space is described in few lines, and the words for a choice that it does not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from search_spaces.errors import SpaceError
from search_spaces.registry import OptionDescription, SpaceDescription

if TYPE_CHECKING:
    from search_spaces.choice import Choice
    from search_spaces.space import SearchSpace
    from search_spaces.values import Value


@dataclass(frozen=True, kw_only=True)
class GivenSpace:
    """A family of one space.  What a study gives are choices of it, by name or pattern, and the values they keep."""

    name: str
    summary: str
    whole: SearchSpace

    def space(self, given: Mapping[str, object]) -> SearchSpace:
        """The part where the choices named or matched (`layers.*.heads`) keep these values.

        Raises `SpaceError` or `UnknownChoice`, naming the family.
        """
        try:
            return self.whole.narrow(cast("Mapping[str, Value | Sequence[Value]]", given))
        except SpaceError as error:
            raise type(error)(f"{self.name}: {error}") from error

    def describe(self) -> SpaceDescription:
        """Each choice with its values; those of layers that differ by nothing but their number stand together."""
        alike: dict[tuple[str, Choice], list[str]] = {}
        for name, choice in self.whole.choices.items():
            alike.setdefault((re.sub(r"(?<=\.)\d+(?=\.)", "*", name), choice), []).append(name)
        patterns = [pattern for pattern, _ in alike]
        options: list[OptionDescription] = []
        for (pattern, choice), names in alike.items():
            whole = len(names) > 1 and patterns.count(pattern) == 1
            options += [
                OptionDescription(
                    name=name,
                    about=f"{choice.kind} choice" + (f", {len(names)} times" if whole else ""),
                    default=choice.values,
                )
                for name in ([pattern] if whole else names)
            ]
        return SpaceDescription(name=self.name, summary=self.summary, options=tuple(options))
