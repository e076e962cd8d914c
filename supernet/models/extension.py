"""A model family of a user's own: the space and the models that belong together.

The families that Supernaut brings are listed in two registries; one that is allowed by name comes as one object.
Owns how that object is made of a space and a factory, and which tasks it takes.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from search_spaces import GivenSpace, SearchSpace
from supernet.errors import IncompatibleTask, OptionError
from supernet.models.family import ModelFamily
from supernet.slicing import Layouts
from supernet.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from search_spaces import Family
    from supernet.pretrained.coupling import Couplings
    from supernet.skeleton import Build
    from supernet.slicing import Layout

_TASK = "task"  # the parameter by which a factory asks for the task


@dataclass(frozen=True, kw_only=True)
class FamilyExtension:
    """What may vary, and what is built of it.  Both get the name under which the operator allows the extension."""

    space: Family | GivenSpace
    model: ModelFamily


def own_model(
    name: str = "own",
    *,
    space: SearchSpace,
    build: Callable[..., nn.Module],
    example: Task | Callable[[], Task],
    layouts: Mapping[str, Layout] | None = None,
    couplings: Couplings = (),
    residual_layers: tuple[str, ...] = (),
    summary: str = "",
) -> FamilyExtension:
    """A family of anyone's own factory.

    `build(architecture)` returns an ordinary module; one that is sized by the task (its classes, its vocabulary) has a
    parameter called `task` too, and is called as `build(architecture, task=task)`.  `example` is a task of the kind
    that it takes, or makes one: an `Example`, say.  A study's task must be of the same kind, and, where `build` does
    not ask for the task, have the same classes and no larger vocabulary.  `layouts` are as for `SharedWeights`;
    `couplings` and `residual_layers`, what pretrained weights are ordered by, as for `ModelFamily`.  Studies narrow the
    space by the names or patterns of its choices.

    Raises `OptionError` or `LayoutError` where a part is not what it should be.
    """
    if not isinstance(space, SearchSpace):
        raise OptionError(f"own_model: space must be a SearchSpace, got {type(space).__name__}.")
    if not callable(build):
        raise OptionError(f"own_model: build must be a function of an architecture, got {type(build).__name__}.")
    if not isinstance(example, Task) and not callable(example):
        raise OptionError(
            f"own_model: example must be a Task or make one, such as Example(kind=..., shape=..., classes=...); got "
            f"{type(example).__name__}."
        )
    sized = _takes_task(build)
    make_example = partial(_same, example) if isinstance(example, Task) else example
    layouts = dict(layouts or {})
    Layouts(layouts)  # refuses what is no layout

    def builder(task: Task) -> Build:
        _check_task(task, make_example(), sized=sized)
        return partial(build, task=task) if sized else build

    return FamilyExtension(
        space=GivenSpace(name=name, summary=summary or _summary(build), whole=space),
        model=ModelFamily(
            name=name,
            builder=builder,
            layouts=layouts,
            example=make_example,
            couplings=couplings,
            residual_layers=residual_layers,
        ),
    )


def _same(task: Task) -> Task:
    return task


def _takes_task(build: Callable[..., nn.Module]) -> bool:
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):  # a callable that does not say: it is called with an architecture alone
        return False
    takes = any(parameter.name == _TASK for parameter in parameters)
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and parameter.name != _TASK
    ]
    if len(needed) > 1:
        raise OptionError(
            f"own_model: build is called with an architecture and, if it has a parameter called {_TASK!r}, the task; "
            f"it needs {', '.join(needed)}. Bind the others with functools.partial."
        )
    return takes


def _check_task(task: Task, example: Task, *, sized: bool) -> None:
    """Raise `IncompatibleTask` for a task that the factory was not written for."""
    aspects: dict[str, tuple[Any, Any]] = {
        "kind of input": (task.kind, example.kind),
        "target for each position": (task.per_position, example.per_position),
    }
    if not sized:
        aspects["number of classes"] = (task.classes, example.classes)
    for what, (given, wanted) in aspects.items():
        if given != wanted:
            raise IncompatibleTask(
                f"the task {task.name!r} has another {what} ({given}) than what this family is built for ({wanted})."
                + ("" if sized or what != "number of classes" else _SIZED)
            )
    vocabulary, largest = task.vocabulary or 0, example.vocabulary or 0
    if not sized and vocabulary > largest:
        raise IncompatibleTask(
            f"the task {task.name!r} has a vocabulary of {vocabulary}, and this family is built for one of {largest}."
            + _SIZED
        )


_SIZED = f" A factory with a parameter called {_TASK!r} is given the task and can size its model by it."


def _summary(build: Callable[..., nn.Module]) -> str:
    text = inspect.getdoc(build) or ""
    return text.split("\n\n")[0].replace("\n", " ") or "A model of one's own"
