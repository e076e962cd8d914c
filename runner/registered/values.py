"""What is registered, as plain values that can be compared, hashed and sent to other processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExtensionKind = Literal["task", "family"]


@dataclass(frozen=True, kw_only=True)
class RegisteredData:
    """A file or folder of data under the name by which studies ask for it."""

    name: str
    path: str  # absolute


@dataclass(frozen=True, kw_only=True)
class AllowedExtension:
    """A task or family of the operator's own, under the name by which studies ask for it."""

    name: str
    kind: ExtensionKind
    target: str  # "module:object"
    about: str = ""  # one line


@dataclass(frozen=True, kw_only=True)
class Registered:
    """Everything that is registered in one state folder, and where tasks may keep what they prepared."""

    data: tuple[RegisteredData, ...] = ()
    extensions: tuple[AllowedExtension, ...] = ()
    cache: str | None = None  # an absolute path; None: tasks keep nothing

    def path_of(self, name: object) -> str | None:
        """Where the data of this name lies."""
        return next((entry.path for entry in self.data if entry.name == name), None)

    def extension(self, name: str) -> AllowedExtension | None:
        """The extension of this name."""
        return next((entry for entry in self.extensions if entry.name == name), None)

    def extensions_of(self, kind: ExtensionKind) -> tuple[AllowedExtension, ...]:
        """The extensions of one kind."""
        return tuple(entry for entry in self.extensions if entry.kind == kind)


NOTHING = Registered()
