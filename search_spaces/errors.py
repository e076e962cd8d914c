"""The errors of this package and the wording of "unknown name".  It owns no rule: who finds a mistake raises.

SpaceError (a ValueError)
├── InvalidArchitecture   a mapping that is no architecture, or none of this space
├── InfeasibleSpace       nothing, or nothing else, satisfies the constraints
├── UnknownChoice         a choice or an option of that name does not exist
└── UnknownSpace          no family of that name is registered
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LISTED_AT_MOST = 60  # names; a space of many layers has hundreds, and the nearest ones come first anyway


class SpaceError(ValueError):
    """A search space was described or used wrongly."""


class InvalidArchitecture(SpaceError):
    """A mapping is no architecture, or none of this search space."""


class InfeasibleSpace(SpaceError):
    """The constraints leave no architecture, or none besides the one given."""


class UnknownChoice(SpaceError):
    """A choice, or an option of a family, does not exist under this name."""


class UnknownSpace(SpaceError):
    """No family of search spaces is registered under this name."""


def unknown_name(kind: str, given: object, allowed: Iterable[str]) -> str:
    """Say that `given` is no `kind`, which names come nearest, and which exist."""
    names = list(allowed)
    near = difflib.get_close_matches(str(given), names, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
    shown = ", ".join(names[:_LISTED_AT_MOST]) if names else "none"
    rest = len(names) - _LISTED_AT_MOST
    more = f" and {rest} more" if rest > 0 else ""
    return f"there is no {kind} {given!r}{hint} Allowed: {shown}{more}"
