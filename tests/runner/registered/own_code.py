"""Extensions as an operator may write them, good and bad: what the tests of this folder allow by name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces import Architecture, Choice, Family, SearchSpace, WholeNumbers
from supernet.errors import DataError
from supernet.models.extension import FamilyExtension
from supernet.models.family import ModelFamily
from supernet.slicing import Packed
from supernet.tasks.task import Split, Task

if TYPE_CHECKING:
    from supernet.skeleton import Build

NOT_CALLABLE = 3


def _task(samples: int = 12) -> Task:
    inputs = torch.randn(samples, 4, generator=torch.Generator().manual_seed(0))
    part = Split(inputs, torch.arange(samples) % 3)
    return Task(name="mine", train=part, validation=part, test=part, classes=3, kind="features")


def plain(samples: int = 12) -> Task:
    """Vectors of noise,
    in three classes.

    More words.
    """
    return _task(samples)


def from_file(data: Path, cache: Path | None = None, factor: float = 1.0) -> Task:
    """A file of numbers; the name of the task tells the folder for what was prepared."""
    numbers = torch.tensor([float(word) for word in data.read_text().split()]) * factor
    task = replace(_task(), name=f"cache {cache}")
    return replace(task, train=Split(numbers.view(-1, 4), torch.zeros(len(numbers) // 4, dtype=torch.int64)))


def perhaps_from_file(data: Path | None = None) -> Task:
    """A file, or as many samples as there always are."""
    return _task(12 if data is None else 24)


def refusing() -> Task:
    """Data that is damaged."""
    raise DataError("row 7 has no label")


def crashing() -> Task:
    """A mistake."""
    raise KeyError("column")


def unprepared() -> Task:
    """A mistake that shows when samples are read."""
    split = _task().train
    return replace(_task(), test=replace(split, prepare=lambda inputs: inputs.view(-1, 99)))


def no_task() -> Task:
    """Something else."""
    return [1, 2]  # type: ignore[return-value]


def _space(*, width: Choice) -> SearchSpace:
    return SearchSpace({"width": width})


def _build(architecture: Architecture, *, features: int, classes: int) -> nn.Module:
    width = int(architecture["width"])
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes))


def _builder(task: Task) -> Build:
    return partial(_build, features=task.input_shape[0], classes=task.classes)


FAMILY = FamilyExtension(
    space=Family(
        name="its own name",
        summary="One hidden layer",
        options=(WholeNumbers(name="width", about="hidden features", default=(4, 8)),),
        build=_space,
    ),
    model=ModelFamily(name="its own name", builder=_builder),
)


def _failing_builder(task: Task) -> Build:
    del task

    def build(architecture: Architecture) -> nn.Module:
        if architecture["width"] == 4:
            raise ValueError("a width of 4 is too narrow")
        raise IndexError("layer 9")

    return build


FAILING = FamilyExtension(space=FAMILY.space, model=ModelFamily(name="failing", builder=_failing_builder))


def _sharing_builder(task: Task) -> Build:
    head = nn.Linear(8, task.classes)
    return lambda architecture: nn.Sequential(nn.Linear(task.input_shape[0], 8), head)


SHARING = FamilyExtension(space=FAMILY.space, model=ModelFamily(name="sharing", builder=_sharing_builder))
MISSPELT = FamilyExtension(
    space=FAMILY.space, model=ModelFamily(name="misspelt", builder=_builder, layouts={"3.weight": Packed(2)})
)
