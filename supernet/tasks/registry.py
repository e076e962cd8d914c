"""Which tasks exist, by name.  Imports none of them: names and descriptions are asked for where torch is not wanted."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from supernet.errors import UnknownName

if TYPE_CHECKING:
    from supernet.tasks.task import Task

TaskLoader = Callable[..., "Task"]

# Parameters that mean the same in every loader that has them: the file or folder that holds the data, and a folder for
# what was prepared from it, or None.  In a study the operator decides about both.
DATA, CACHE = "data", "cache"

_TASKS = ("digits", "mqar", "text", "labelled_text", "images", "audio")  # the files beside this one


def task_names() -> tuple[str, ...]:
    """The tasks that `load_task` knows."""
    return _TASKS


def describe_task(name: str) -> str:
    """The first paragraph of a task's documentation."""
    _require(name)
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source)) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def load_task(name: str, **options: Any) -> Task:
    """The task called `name`.  Raises `UnknownName`, also for an option that the task does not have or needs."""
    return call_loader(name, task_loader(name), options)


def task_loader(name: str) -> TaskLoader:
    """What loads the task called `name`.  Raises `UnknownName`."""
    _require(name)
    return cast("TaskLoader", import_module(f"{__package__}.{name}").load)


def call_loader(name: str, loader: TaskLoader, options: Mapping[str, Any]) -> Task:
    """The task that a loader makes with these options, which are checked against its parameters."""
    parameters = loader_options(loader)
    for option in options:
        if option not in parameters:
            offered = ", ".join(known for known in parameters if known != CACHE) or "none at all"
            raise UnknownName(f"the task {name!r} has no option {option!r}; it has {offered}.")
    missing = [option for option, needed in parameters.items() if needed and option not in options]
    if missing:
        raise UnknownName(f"the task {name!r} needs {' and '.join(map(repr, missing))}; give it beside the name.")
    return loader(**options)


def loader_options(loader: TaskLoader) -> dict[str, bool]:
    """The options of a loader, and whether it needs them."""
    return {
        name: parameter.default is parameter.empty
        for name, parameter in inspect.signature(loader).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def _require(name: str) -> None:
    if name not in _TASKS:
        near = get_close_matches(name, _TASKS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"there is no task {name!r}; known tasks: {', '.join(_TASKS)}.{hint}")
