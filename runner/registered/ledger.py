"""The file in the state folder that holds what is registered.  Owns its format, its lock and how it is replaced.

It knows nothing of what stands behind a name: `extensions` checks code before it is written here.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import Conflict, DamagedLedger, NotFound, SpecError
from runner.registered.values import AllowedExtension, ExtensionKind, Registered, RegisteredData
from runner.study import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.settings import Home

VERSION = 1
_KINDS: dict[str, ExtensionKind] = {"task": "task", "family": "family"}


def read_registered(home: Home) -> Registered:
    """What is registered in a state folder; nothing where there is none yet.  Raises `DamagedLedger`."""
    cache = str(home.task_cache)
    try:
        content = json.loads(home.ledger.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Registered(cache=cache)
    except ValueError as error:
        raise DamagedLedger(_damaged(home.ledger, str(error))) from error
    try:
        if content["version"] != VERSION:
            raise DamagedLedger(
                f"{home.ledger} has the format {content['version']!r}, this version of Supernaut reads {VERSION}; use "
                "the version that wrote it."
            )
        return Registered(
            data=tuple(RegisteredData(name=name, **_texts(rest)) for name, rest in content["data"].items()),
            extensions=tuple(
                AllowedExtension(name=name, kind=_KINDS[rest.pop("kind")], **_texts(rest))
                for name, rest in content["extensions"].items()
            ),
            cache=cache,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedLedger(_damaged(home.ledger, f"{type(error).__name__}: {error}")) from error


def add_data(home: Home, name: str, path: Path) -> RegisteredData:
    """Register a file or folder.  Raises `SpecError` for the name, `NotFound` for the path, `Conflict` if taken."""
    check_name(name)
    try:
        resolved = path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:  # the latter: a loop of links
        raise NotFound(f"there is no file or folder {path}; check the path, or whether its disk is mounted.") from error
    entry = RegisteredData(name=name, path=str(resolved))
    with _writing(home) as registered:
        known = registered.path_of(name)
        if known is not None:
            raise Conflict(
                f"data named {name!r} is registered already, as {known}. Choose another name, or forget that one: "
                f"supernaut data remove {name}"
            )
        _write(home, replace(registered, data=(*registered.data, entry)))
    return entry


def remove_data(home: Home, name: str) -> RegisteredData:
    """Forget data; its files stay as they are.  Raises `NotFound`."""
    with _writing(home) as registered:
        entry = next((entry for entry in registered.data if entry.name == name), None)
        if entry is None:
            known = ", ".join(sorted(entry.name for entry in registered.data)) or "nothing yet"
            raise NotFound(f"no data is registered as {name!r}; registered: {known}.")
        _write(home, replace(registered, data=tuple(other for other in registered.data if other is not entry)))
    return entry


def add_extension(home: Home, entry: AllowedExtension) -> None:
    """Allow an extension that was checked.  Raises `SpecError` for its name, `Conflict` if that is taken."""
    check_name(entry.name)
    with _writing(home) as registered:
        known = registered.extension(entry.name)
        if known is not None:
            raise Conflict(
                f"an extension named {entry.name!r} is allowed already, as {known.target}. Choose another name, or "
                f"forget that one: supernaut extension remove {entry.name}"
            )
        _write(home, replace(registered, extensions=(*registered.extensions, entry)))


def remove_extension(home: Home, name: str) -> AllowedExtension:
    """Allow an extension no longer.  Raises `NotFound`."""
    with _writing(home) as registered:
        entry = registered.extension(name)
        if entry is None:
            known = ", ".join(sorted(entry.name for entry in registered.extensions)) or "none yet"
            raise NotFound(f"no extension is allowed as {name!r}; allowed: {known}.")
        rest = tuple(other for other in registered.extensions if other is not entry)
        _write(home, replace(registered, extensions=rest))
    return entry


def check_name(name: str) -> None:
    """Raises `SpecError` where a study could not name this."""
    if not re.fullmatch(NAME, name):
        raise SpecError(
            f"{name!r} is no name; use letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."
        )


@contextmanager
def _writing(home: Home) -> Iterator[Registered]:
    """What is registered, while no other process changes it."""
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # as the record does: it decides which code runs
    with home.ledger.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield read_registered(home)


def _write(home: Home, registered: Registered) -> None:
    """Replace the file as a whole; only its owner may read it, since it says where data lies."""
    content: dict[str, Any] = {
        "version": VERSION,
        "data": {entry.name: {"path": entry.path} for entry in registered.data},
        "extensions": {
            entry.name: {"kind": entry.kind, "target": entry.target, "about": entry.about}
            for entry in registered.extensions
        },
    }
    handle, draft = tempfile.mkstemp(dir=home.path, prefix=f".{home.ledger.name}.")  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(home.ledger)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _texts(entry: dict[str, Any]) -> dict[str, str]:
    for field, value in entry.items():
        if not isinstance(value, str):
            raise TypeError(f"{field} is {value!r}, not a text")
    return entry


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path}, which holds what is registered, cannot be read ({why}). Put it back from a copy, or move it away and "
        "register again: supernaut data add NAME PATH, supernaut extension allow NAME MODULE:OBJECT"
    )
