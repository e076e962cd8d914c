"""Where a file lies that a study names outside of its task: its teacher, the weights that it begins with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import NotFound, SpecError

if TYPE_CHECKING:
    from runner.registered.values import Registered


def registered_path(field: str, name: str, registered: Registered, what: str) -> str:
    """The path that is registered under a name.  Raises `SpecError` or `NotFound`, which say what it should be."""
    path = registered.path_of(name)
    if path is None:
        known = ", ".join(sorted(entry.name for entry in registered.data)) or "nothing yet"
        raise SpecError(
            f"{field}: no model is registered as {name!r}. Registered: {known}. To register {what}: supernaut data add "
            "NAME PATH"
        )
    if not Path(path).exists():
        raise NotFound(
            f"{field}: {name!r} is registered as {path}, where nothing is now. Put it back, or register it anew: "
            f"supernaut data remove {name}, then supernaut data add {name} PATH"
        )
    return path
