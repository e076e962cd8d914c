"""A model family of a user's own: the space and the models that belong together.

The families that Supernaut brings are listed in two registries; one that is allowed by name comes as one object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_spaces import Family
    from supernet.models.family import ModelFamily


@dataclass(frozen=True, kw_only=True)
class FamilyExtension:
    """What may vary, and what is built of it.  Both get the name under which the operator allows the extension."""

    space: Family
    model: ModelFamily
