"""Tasks and families of the operator's own: found by name, loaded when they are needed, checked for what they are.

Code is imported from where Python finds it; nothing here adds to where Python looks.
"""

from __future__ import annotations

import re
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from runner.errors import Conflict, ExtensionError, NotFound
from runner.registered.values import AllowedExtension, ExtensionKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.registered.values import Registered
    from supernet.models.extension import FamilyExtension
    from supernet.tasks.registry import TaskLoader

GROUPS: dict[str, ExtensionKind] = {"supernaut.tasks": "task", "supernaut.families": "family"}
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, kw_only=True)
class Offered:
    """An entry point of an installed package, which nobody has allowed by being installed."""

    name: str
    kind: ExtensionKind
    target: str  # "module:object"


def offered() -> tuple[Offered, ...]:
    """The tasks and families that installed packages offer as entry points; none is imported."""
    return tuple(
        Offered(name=point.name, kind=kind, target=point.value.partition("[")[0].strip())
        for group, kind in GROUPS.items()
        for point in sorted(entry_points(group=group))
    )


def examine(name: str, target: str | None) -> AllowedExtension:
    """An extension as it may be allowed, imported once to see that it can be; without a target, of an entry point.

    Raises `Conflict` where Supernaut brings something of this name, `NotFound` without such an entry point, else
    `ExtensionError`.
    """
    from search_spaces import space_names
    from supernet.models.extension import FamilyExtension
    from supernet.tasks.registry import task_names

    if name in (*task_names(), *space_names()):
        raise Conflict(f"Supernaut brings a task or family named {name!r} itself; choose another name.")
    target = _entry_point(name) if target is None else target
    found = _import(name, target)
    if isinstance(found, FamilyExtension):
        return AllowedExtension(name=name, kind="family", target=target, about=found.space.summary)
    if callable(found) and not isinstance(found, type):
        return AllowedExtension(name=name, kind="task", target=target, about=_first_paragraph(found))
    raise ExtensionError(
        f"the extension {name!r}: {target} is {_called(found)}; it must be a function that returns a "
        "supernet.tasks.task.Task, or a supernet.models.extension.FamilyExtension."
    )


def find_extension(
    name: str, kind: ExtensionKind, built_in: tuple[str, ...], registered: Registered
) -> AllowedExtension | None:
    """The extension that a study means by a name; None if it means what Supernaut brings, or nothing at all.

    Raises `ExtensionError` for an extension of the other kind, or one whose name a newer Supernaut uses itself.
    """
    entry = registered.extension(name)
    if entry is None or (name in built_in and entry.kind != kind):
        return None
    if name in built_in:
        raise ExtensionError(
            f"this version of Supernaut brings a {kind} {name!r} itself, and {entry.target} is allowed under the same "
            f"name; allow yours under another one: supernaut extension remove {name}, then supernaut extension allow "
            f"OTHER {entry.target}"
        )
    if entry.kind != kind:
        raise ExtensionError(f"the extension {name!r} ({entry.target}) is a {entry.kind}, not a {kind}.")
    return entry


def load_loader(entry: AllowedExtension) -> TaskLoader:
    """The function behind a task.  Raises `ExtensionError`."""
    found = _import(entry.name, entry.target)
    if not callable(found) or isinstance(found, type):
        raise ExtensionError(_changed(entry, found, "a function that returns a supernet.tasks.task.Task"))
    return found


def load_family_extension(entry: AllowedExtension) -> FamilyExtension:
    """The object behind a family.  Raises `ExtensionError`."""
    from supernet.models.extension import FamilyExtension

    found = _import(entry.name, entry.target)
    if not isinstance(found, FamilyExtension):
        raise ExtensionError(_changed(entry, found, "a supernet.models.extension.FamilyExtension"))
    return found


@contextmanager
def foreign_code(entry: AllowedExtension, doing: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Around calls into an extension: its exceptions become an `ExtensionError` that says where they came from."""
    try:
        yield
    except passing:
        raise
    except Exception as error:
        raise ExtensionError(f"{_which(entry.name, entry.target)} failed while {doing}: {_whence(error)}") from error


def _import(name: str, target: str) -> object:
    if not _TARGET.fullmatch(target):
        raise ExtensionError(
            f"the extension {name!r}: {target!r} is not of the form MODULE:OBJECT, such as my_package.my_file:load."
        )
    module_name, _, path = target.partition(":")
    try:
        found: object = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ExtensionError(f"{_which(name, target)} cannot be imported: {_whence(error)}") from error
        raise ExtensionError(
            f"{_which(name, target)} cannot be imported: Python finds no module {error.name!r}. Install its package "
            "into the environment of Supernaut, or put the folder of its file on PYTHONPATH, for every process that "
            "runs studies."
        ) from error
    except Exception as error:
        raise ExtensionError(f"{_which(name, target)} cannot be imported: {_whence(error)}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            public = ", ".join(known for known in dir(found) if not known.startswith("_"))
            raise ExtensionError(
                f"{_which(name, target)}: {module_name} has no {part!r}; it has {public or 'nothing'}."
            )
        found = getattr(found, part)
    return found


def _entry_point(name: str) -> str:
    targets = {point.target for point in offered() if point.name == name}
    if len(targets) == 1:
        return targets.pop()
    if targets:
        raise Conflict(
            f"several entry points are named {name!r}: {', '.join(sorted(targets))}; say which one is meant: supernaut "
            f"extension allow {name} MODULE:OBJECT"
        )
    names = ", ".join(point.name for point in offered()) or "none"
    raise NotFound(
        f"no installed package offers a task or family {name!r} (offered: {names}); say where it is: supernaut "
        f"extension allow {name} MODULE:OBJECT"
    )


def _which(name: str, target: str) -> str:
    return f"the extension {name!r} ({target})"


def _changed(entry: AllowedExtension, found: object, wanted: str) -> str:
    return (
        f"{_which(entry.name, entry.target)} was a {entry.kind} when it was allowed and is {_called(found)} now; it "
        f"must be {wanted}."
    )


def _called(found: object) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"of the type {type(found).__name__}"


def _whence(error: Exception) -> str:
    """An exception in one line, with the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def _first_paragraph(found: object) -> str:
    import inspect

    text = inspect.getdoc(found) or inspect.getdoc(inspect.getmodule(found)) or ""
    return text.split("\n\n")[0].replace("\n", " ")
