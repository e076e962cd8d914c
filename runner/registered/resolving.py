"""What the names in a study stand for: the tasks and families that Supernaut brings and those that were allowed.

Owns which parameters of a loader a study may set, and which come from what is registered.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import NotFound, RunnerError, SpecError
from runner.registered.extensions import find_extension, foreign_code, load_family_extension, load_loader
from runner.registered.own_check import check_own_answers, check_own_task
from search_spaces import SpaceError, space_family, space_names
from supernet.errors import SupernetError, UnknownName
from supernet.models.registry import builder_of, load_family
from supernet.tasks.registry import CACHE, DATA, call_loader, loader_options, task_loader, task_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from runner.registered.values import AllowedExtension, ExtensionKind, Registered
    from runner.study import SpaceSpec, TaskSpec
    from search_spaces import Architecture, Family, GivenSpace, SearchSpace
    from supernet.models.family import ModelFamily
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

_OURS = (SupernetError, SpaceError, RunnerError)  # errors that already say what a person can do


@dataclass(frozen=True, kw_only=True)
class ResolvedFamily:
    """A family with the space and the builder that a study's choices and task make of it."""

    model: ModelFamily
    space: SearchSpace
    build: Build


def task_of(asked: TaskSpec, registered: Registered) -> Task:
    """The task of a study, its data found by the name that was registered.

    Raises `SpecError`, `UnknownName`, `ExtensionError`, `NotFound` for data that is gone, and what the loader raises.
    The newest two are remembered as long as their data stays as it is.
    """
    entry = find_extension(asked.name, "task", task_names(), registered)
    if entry is None:
        _require(asked.name, "task", task_names(), registered)
        loader = task_loader(asked.name)
    else:
        loader = load_loader(entry)
    options, path = _options(asked, loader_options(loader), registered)
    try:
        text = json.dumps(options, sort_keys=True)
    except (TypeError, ValueError) as error:  # YAML knows dates, sets and bytes; the record is JSON
        raise SpecError(f"task: options are texts, numbers, lists and mappings ({error}); quote a date.") from error
    return _loaded(asked.name, entry, text, path, _state_of(path), registered.cache)


@dataclass(frozen=True, kw_only=True)
class OpenedFamily:
    """A family with the space that a study's choices make of it, before there is a task; `entry` of one's own."""

    model: ModelFamily
    space: SearchSpace
    entry: AllowedExtension | None

    def build_for(self, task: Task) -> Build:
        """`build(architecture)` for a task.  Raises `IncompatibleTask` or `ExtensionError`."""
        if self.entry is None:
            return builder_of(self.model, task)
        with foreign_code(self.entry, "making its builder", passing=_OURS):
            return _OwnBuild(self.entry, builder_of(self.model, task))


def open_family(asked: SpaceSpec, registered: Registered) -> OpenedFamily:
    """A family by name, narrowed.  Raises `SpaceError`, `UnknownName` or `ExtensionError`."""
    entry = find_extension(asked.name, "family", space_names(), registered)
    if entry is None:
        _require(asked.name, "family", space_names(), registered)
        space = space_family(asked.name).space(asked.choices)
        return OpenedFamily(model=load_family(asked.name), space=space, entry=None)
    own = load_family_extension(entry)
    with foreign_code(entry, "making its space", passing=_OURS):
        space = replace(own.space, name=entry.name).space(asked.choices)
    return OpenedFamily(model=replace(own.model, name=entry.name), space=space, entry=entry)


def family_of(asked: SpaceSpec, task: Task, registered: Registered) -> ResolvedFamily:
    """The family of a study.  Raises `SpaceError`, `UnknownName`, `IncompatibleTask` or `ExtensionError`."""
    opened = open_family(asked, registered)
    build = opened.build_for(task)
    if opened.entry is not None:
        check_own_answers(opened.entry, build, opened.space.smallest(), task)
    return ResolvedFamily(model=opened.model, space=opened.space, build=build)


def own_space(entry: AllowedExtension) -> Family | GivenSpace:
    """The space of an allowed family, under the name by which studies ask for it.  Raises `ExtensionError`."""
    return replace(load_family_extension(entry).space, name=entry.name)


@dataclass(frozen=True)
class _OwnBuild:
    """Builds with an extension; what it raises besides a ValueError, which refuses an architecture, names it."""

    entry: AllowedExtension
    build: Build

    def __call__(self, architecture: Architecture) -> nn.Module:
        with foreign_code(self.entry, f"building {architecture.to_json()}", passing=(ValueError,)):
            return self.build(architecture)


def _require(name: str, kind: ExtensionKind, built_in: tuple[str, ...], registered: Registered) -> None:
    """Say of a name that is neither built in nor allowed how it could be allowed."""
    if name in built_in:
        return
    mine = ", ".join(entry.name for entry in registered.extensions_of(kind)) or "none"
    hint = f"To use one of your own (allowed now: {mine}): supernaut extension allow {name} MODULE:OBJECT"
    try:
        task_loader(name) if kind == "task" else space_family(name)
    except (UnknownName, SpaceError) as error:
        raise UnknownName(f"{error}{'' if str(error).endswith(('.', '?')) else '.'} {hint}") from None


def _options(asked: TaskSpec, parameters: dict[str, bool], registered: Registered) -> tuple[dict[str, Any], str | None]:
    """The options that a study may give as they are, and the path of the data that it names."""
    options = asked.options
    if CACHE in options:
        raise SpecError(f"task.{CACHE}: where a task keeps what it prepared is not for a study to say; leave it out.")
    if DATA not in parameters:
        return options, None
    if DATA not in options:
        if parameters[DATA]:
            raise SpecError(
                f"task.{DATA}: the task {asked.name!r} needs data; give its name. {_how_to_register(registered)}"
            )
        return options, None
    name = options.pop(DATA)
    path = registered.path_of(name)
    if path is None:
        raise SpecError(
            f"task.{DATA}: no data is registered as {name!r}. A study gives a name, never a path. "
            f"{_how_to_register(registered)}"
        )
    if not Path(path).exists():
        raise NotFound(
            f"task.{DATA}: {name!r} is registered as {path}, where nothing is now. Put it back, or register it anew: "
            f"supernaut data remove {name}, then supernaut data add {name} PATH"
        )
    return options, path


def _how_to_register(registered: Registered) -> str:
    names = ", ".join(sorted(entry.name for entry in registered.data)) or "nothing yet"
    return f"Registered: {names}. To register: supernaut data add NAME PATH"


@lru_cache(maxsize=2)
def _loaded(
    name: str, entry: AllowedExtension | None, options: str, path: str | None, state: str, cache: str | None
) -> Task:
    """The task; all arguments are plain values, and `state` stands for the content of the data."""
    del state
    loader = task_loader(name) if entry is None else load_loader(entry)
    given = json.loads(options)
    if path is not None:
        given[DATA] = Path(path)
    if cache is not None and CACHE in loader_options(loader):
        given[CACHE] = Path(cache)
    if entry is None:
        return call_loader(name, loader, given)
    with foreign_code(entry, "loading", passing=_OURS):
        task = check_own_task(entry, call_loader(name, loader, given))  # which reads from the splits
    return replace(task, name=name)


def _state_of(path: str | None) -> str:
    """A digest of names, sizes and times of the files under a path: another one, and the data is read again."""
    digest = hashlib.sha256()
    for file, stat in _files(path) if path else ():
        digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(path: str) -> Iterator[tuple[str, os.stat_result]]:
    if not Path(path).is_dir():
        yield path, Path(path).stat()
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        for file in sorted(files):
            full = os.path.join(folder, file)  # noqa: PTH118  (many thousands of them)
            try:
                yield full, os.stat(full)  # noqa: PTH116
            except OSError:  # a link to nothing: for the loader to report
                continue
