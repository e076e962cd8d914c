"""Whether what an extension makes can be trained and trained on: said before training starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from runner.errors import ExtensionError
from runner.registered.extensions import foreign_code
from supernet.discovery import largest_with_each_value
from supernet.inspection.factory import inspect_factory
from supernet.inspection.standard_values import StandardValues
from supernet.skeleton import build_outline
from supernet.tasks.task import UNLABELLED, Task, predict

if TYPE_CHECKING:
    from runner.registered.values import AllowedExtension
    from search_spaces import Architecture, SearchSpace
    from supernet.skeleton import Build
    from supernet.slicing import Layouts
    from supernet.tasks.task import Split

LOGITS = 2**22  # that `measure` is tried on


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
    _check_measure(where, task)
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


def check_own_factory(
    entry: AllowedExtension,
    build: Build,
    architectures: Sequence[Architecture],
    task: Task,
    layouts: Layouts,
    seed: int,
) -> None:
    """Build a few architectures of an extension several times.  Raises `ExtensionError` with the first problem.

    The quick part of `supernaut check`, which looks at much more.
    """
    found = inspect_factory(build, architectures, StandardValues({}, layouts), task.example(2), seed)
    for finding in found:
        if finding.severity == "problem":
            raise ExtensionError(
                f"the family {entry.name!r} ({entry.target}): {finding.name}: {finding.message} To look at all of it: "
                f"supernaut check {entry.name}"
            )


def check_own_patterns(entry: AllowedExtension, build: Build, parts: Iterable[SearchSpace], layouts: Layouts) -> None:
    """Raise `ExtensionError` where a pattern of layouts matches no parameter in any of these spaces.

    The spaces are looked at one after another, as long as a pattern is left: a study's part, then the whole.
    """
    names: set[str] = set()
    for space in parts:
        for architecture in largest_with_each_value(space):
            with suppress(ValueError):  # refused, which others report
                names |= {name for name, _ in build_outline(build, architecture, 0).named_parameters()}
        unmatched = layouts.unmatched(sorted(names))
        if not unmatched:
            return
    raise ExtensionError(f"the family {entry.name!r} ({entry.target}): {unmatched[0]}")


def _check_measure(where: str, task: Task) -> None:
    """Raise `ExtensionError` unless `measure` gives a finite number for each metric, here of random logits."""
    targets = task.validation.targets
    positions = targets[0].numel() if len(targets) else 1
    targets = targets[: max(2, LOGITS // (positions * task.classes))]
    logits = torch.randn(*targets.shape, task.classes, generator=torch.Generator().manual_seed(0))
    measured: object = task.measure(logits, targets)
    if not isinstance(measured, Mapping):
        raise ExtensionError(
            f"{where}: its `measure` returned {type(measured).__name__}; it must be a number by metric."
        )
    for name in task.metrics:
        if name not in measured:
            given = ", ".join(map(str, measured)) or "nothing"
            raise ExtensionError(f"{where}: its `measure` returned {given}, and its metrics name {name!r}.")
        value = measured[name]
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ExtensionError(
                f"{where}: its `measure` returned {value!r} for {name!r} of random logits; it must be a finite number."
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
