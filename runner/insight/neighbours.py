"""Architectures that are like another one: which of them differs in the fewest choices, and in which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from search_spaces import Architecture
    from search_spaces.values import Value


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One choice that two architectures answer differently; None where it does not apply."""

    choice: str
    here: Value | None
    there: Value | None


def differences(here: Architecture, there: Architecture) -> tuple[Difference, ...]:
    """The choices in which two architectures differ, by name."""
    return tuple(
        Difference(choice=name, here=here.get(name), there=there.get(name))
        for name in sorted({*here, *there})
        if not _same(here.get(name), there.get(name))
    )


def nearest(
    architecture: Architecture, others: Iterable[Architecture], count: int
) -> tuple[tuple[Architecture, tuple[Difference, ...]], ...]:
    """The `count` others that differ in the fewest choices, and how; of equals, those that come first."""
    found = [(other, differences(architecture, other)) for other in others if other != architecture]
    return tuple(sorted(found, key=lambda each: len(each[1]))[:count])


def _same(first: Value | None, second: Value | None) -> bool:
    """1, 1.0 and True are different answers."""
    return type(first) is type(second) and first == second
