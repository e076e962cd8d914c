"""Which tasks exist, by name."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from supernet.errors import UnknownName
from supernet.tasks import digits

if TYPE_CHECKING:
    from collections.abc import Callable

    from supernet.tasks.task import Task

_TASKS: dict[str, Callable[..., Task]] = {"digits": digits.load}


def task_names() -> tuple[str, ...]:
    """The tasks that `load_task` knows."""
    return tuple(_TASKS)


def describe_task(name: str) -> str:
    """The first paragraph of a task's documentation."""
    text = inspect.getdoc(inspect.getmodule(_loader(name))) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def load_task(name: str, **options: Any) -> Task:
    """The task called `name`.  Raises `UnknownName`, also for an option that the task does not have."""
    loader = _loader(name)
    allowed = tuple(inspect.signature(loader).parameters)
    for option in options:
        if option not in allowed:
            raise UnknownName(
                f"the task {name!r} has no option {option!r}; it has {', '.join(allowed) or 'none at all'}."
            )
    return loader(**options)


def _loader(name: str) -> Callable[..., Task]:
    if name not in _TASKS:
        near = get_close_matches(name, _TASKS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"there is no task {name!r}; known tasks: {', '.join(_TASKS)}.{hint}")
    return _TASKS[name]
