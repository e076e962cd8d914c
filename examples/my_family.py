"""A task and a family of one's own, in one file: classes from a CSV file of numbers, and small MLPs for them.

docs/extending.md explains it and lists the commands.  Imports come from what Supernaut offers; nothing is registered
here: whoever operates Supernaut allows the two objects `load` and `FAMILY` by name.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces import Choice, Family, Levels, Names, SearchSpace, WholeNumbers, layered
from supernet.errors import DataError, IncompatibleTask
from supernet.models.extension import FamilyExtension
from supernet.models.family import ModelFamily
from supernet.tasks.task import Split, Task

if TYPE_CHECKING:
    from pathlib import Path

    from search_spaces import Architecture
    from supernet.skeleton import Build

# The task: what is learnt


def load(data: Path, validation: float = 0.2, test: float = 0.2) -> Task:
    """Rows of numbers in a CSV file, the last column a class from 0; scaled by the training rows."""
    table = np.loadtxt(data, delimiter=",", ndmin=2, dtype=np.float32)
    rows = torch.from_numpy(table[:, :-1])
    targets = torch.from_numpy(table[:, -1]).long()
    if len(targets.unique()) < 2:
        raise DataError(f"{data}: all {len(targets)} rows are of one class; there is nothing to learn.")
    # A fixed seed: a study's own seed must never move a row from one split to another.
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    last, held = round(len(rows) * test), round(len(rows) * (test + validation))
    parts = {"test": order[:last], "validation": order[last:held], "train": order[held:]}
    spread, mean = torch.std_mean(rows[parts["train"]], 0)
    scaled = (rows - mean) / spread.clamp_min(1e-6)
    splits = {name: Split(scaled[chosen], targets[chosen]) for name, chosen in parts.items()}
    return Task(name="vectors", **splits, classes=int(targets.max()) + 1, kind="features")


# The space: what may vary

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


def build_space(*, depth: Choice, width: Choice, activation: Choice, bits: Choice) -> SearchSpace:
    """Each option arrives as a choice; `layered` repeats the choices of a layer while `depth` says it exists."""
    layers = layered({"activation": activation, "bits": bits}, layers=max(depth.values))
    return SearchSpace({"depth": depth, "width": width, **layers.choices}, conditions=layers.conditions)


SPACE = Family(
    name="mlp",
    summary="Residual MLP: depth and width; activation and bits by layer",
    options=(
        WholeNumbers(name="depth", about="number of layers", default=(1, 2, 3)),
        WholeNumbers(name="width", about="features of a layer", default=(16, 32)),
        Names(name="activation", about="after each layer", default=("relu", "gelu"), allowed=tuple(ACTIVATIONS)),
        Levels(name="bits", about="bits of a layer's stored weights", default=(8, 32), allowed=(4, 8, 32)),
    ),
    build=build_space,
)

# The models: what an architecture of that space is


class Layer(nn.Module):
    """x (batch, width) -> (batch, width)."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.activation(self.linear(x))


class MLP(nn.Module):
    """features (batch, features) -> logits (batch, classes); plain PyTorch that knows nothing of the search.

    Parameters of one name share their weights over all architectures, a narrower one as the leading slice of a wider.
    """

    def __init__(self, architecture: Architecture, *, features: int, classes: int) -> None:
        super().__init__()
        width = architecture["width"]
        self.stem = nn.Linear(features, width)
        self.layers = nn.ModuleList(
            Layer(width, architecture[f"layers.{index}.activation"]) for index in range(architecture["depth"])
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def builder(task: Task) -> Build:
    """`build(architecture)` for a task, or an error that says which tasks the family takes."""
    if task.kind != "features" or task.per_position:
        raise IncompatibleTask(f"mlp classifies vectors of features; {task.name!r} has inputs of kind {task.kind!r}.")
    return partial(MLP, features=task.input_shape[0], classes=task.classes)


FAMILY = FamilyExtension(space=SPACE, model=ModelFamily(name="mlp", builder=builder))
