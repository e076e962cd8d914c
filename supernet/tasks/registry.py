"""Which tasks exist, by name.  Imports none of them: names and descriptions are asked for where torch is not wanted."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from supernet.errors import UnknownName

if TYPE_CHECKING:
    from supernet.tasks.task import Task

TaskLoader = Callable[..., "Task"]

# Parameters that mean the same in every loader that has them: the file or folder that holds the data, and a folder for
# what was prepared from it, or None.  In a study the operator decides about both.
DATA, CACHE = "data", "cache"

_TASKS = ("digits", "mqar", "text", "labelled_text", "images", "audio")  # the files beside this one

# What is known of a task before it is loaded; a test compares it with what each one says of itself.
_CLASSIFIED: Mapping[str, str] = {"error": "minimize", "accuracy": "maximize", "loss": "minimize"}
_LANGUAGE: Mapping[str, str] = {
    "perplexity": "minimize",
    "bits_per_byte": "minimize",
    "loss": "minimize",
    "error": "minimize",
    "accuracy": "maximize",
}
_OF_IMAGES = ("convnet", "vision_transformer")
_FACTS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "digits": (_CLASSIFIED, _OF_IMAGES),
    "mqar": (_CLASSIFIED, ("causal_lm",)),
    "text": (_LANGUAGE, ("causal_lm",)),
    "labelled_text": (_CLASSIFIED, ("text_encoder",)),
    "images": (_CLASSIFIED, _OF_IMAGES),
    "audio": ({**_CLASSIFIED, "eer": "minimize"}, ("tdnn",)),
}


def task_names() -> tuple[str, ...]:
    """The tasks that `load_task` knows."""
    return _TASKS


def describe_task(name: str) -> str:
    """The first paragraph of a task's documentation."""
    _require(name)
    text = ast.get_docstring(_source(name)) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def metrics_of(name: str) -> Mapping[str, str]:
    """The metrics of a task with their goals, the most telling one first.  Raises `UnknownName`."""
    _require(name)
    return _FACTS[name][0]


def families_of(name: str) -> tuple[str, ...]:
    """The model families of Supernaut that fit the inputs and targets of a task.  Raises `UnknownName`."""
    _require(name)
    return _FACTS[name][1]


def needs_data(name: str) -> Literal["needed", "possible"] | None:
    """Whether a task reads data of the user's own.  Raises `UnknownName`."""
    _require(name)
    for node in ast.walk(_source(name)):
        if isinstance(node, ast.FunctionDef) and node.name == "load":
            for parameter, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                if parameter.arg == DATA:
                    return "needed" if default is None else "possible"
    return None


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


def _source(name: str) -> ast.Module:
    return ast.parse(Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))


def _require(name: str) -> None:
    if name not in _TASKS:
        near = get_close_matches(name, _TASKS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"there is no task {name!r}; known tasks: {', '.join(_TASKS)}.{hint}")
