"""Whether what an extension makes can be trained and trained on: said before training starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from runner.errors import ExtensionError
from runner.registered.extensions import foreign_code
from supernet.tasks.task import UNLABELLED, Task, predict

if TYPE_CHECKING:
    from runner.registered.values import AllowedExtension
    from search_spaces import Architecture
    from supernet.skeleton import Build
    from supernet.tasks.task import Split


def check_own_task(entry: AllowedExtension, task: object) -> Task:
    """The task, if it is one.  Raises `ExtensionError`, which names the first thing that is wrong."""
    where = f"the task {entry.name!r} ({entry.target})"
    if not isinstance(task, Task):
        raise ExtensionError(f"{where} returned {type(task).__name__}; it must return a supernet.tasks.task.Task.")
    for name in ("train", "validation", "test"):
        problem = _problem(task, getattr(task, name))
        if problem is not None:
            raise ExtensionError(f"{where}: its {name} split {problem}")
    if not task.metrics:
        raise ExtensionError(f"{where} has no metrics; name at least one that its `measure` returns.")
    return task


def check_own_answers(entry: AllowedExtension, build: Build, architecture: Architecture, task: Task) -> None:
    """Ask a module of an extension about two samples.  Raises `ExtensionError` where its answer is of a wrong shape.

    An architecture that cannot be built for this task is left to those who check them all.
    """
    try:
        module = build(architecture)
    except ExtensionError:
        raise
    except ValueError:
        return
    with foreign_code(entry, f"computing {architecture.to_json()}"):
        answer = predict(module, task.example(2))
    wanted = (2, *task.train.targets.shape[1:], task.classes)
    if answer.shape != wanted:
        raise ExtensionError(
            f"the family {entry.name!r} ({entry.target}) answers two samples of the task {task.name!r} with the shape "
            f"{tuple(answer.shape)}; it must be {wanted}, a number for each class."
        )


def _problem(task: Task, split: Split) -> str | None:
    """What is wrong with a split, as the end of a sentence."""
    if len(split) == 0:
        return "is empty; leave samples for each of the three."
    if len(split.inputs) != len(split.targets):
        return f"has {len(split.inputs)} inputs and {len(split.targets)} targets; it needs one for each."
    if split.targets.dtype != torch.int64:
        return f"has targets of type {split.targets.dtype}; they must be class numbers, torch.int64."
    known = split.targets[split.targets != UNLABELLED]
    if len(known) == 0:
        return "has no labelled target."
    if int(known.min()) < 0 or int(known.max()) >= task.classes:
        return f"has targets from {int(known.min())} to {int(known.max())}; classes are 0 to {task.classes - 1}."
    prepared, _ = split.read(slice(0, 1))
    if task.kind == "tokens":
        if task.vocabulary is None or prepared.dtype != torch.int64:
            return f"is of tokens, of type {prepared.dtype}; they must be torch.int64, and the task names a vocabulary."
    elif not prepared.is_floating_point():
        return f"gives a network inputs of type {prepared.dtype}; they must be floats (its `prepare` can make them so)."
    return None
