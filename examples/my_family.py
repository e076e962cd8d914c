"""A task and a family of one's own, in one file: classes from a CSV file of numbers, and small MLPs for them.

docs/extending.md explains it and lists the commands.  Imports come from what Supernaut offers; nothing is registered
here: whoever operates Supernaut allows the two objects `load` and `FAMILY` by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces import Categorical, Ordinal, SearchSpace, layered
from supernet.errors import DataError
from supernet.models.extension import own_model
from supernet.slicing import Packed
from supernet.tasks.example import Example
from supernet.tasks.task import Split, Task

if TYPE_CHECKING:
    from pathlib import Path

    from search_spaces import Architecture

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

ACTIVATIONS = {"relu": nn.functional.relu, "gelu": nn.functional.gelu}
LAYERS = layered(
    {"activation": Categorical(*ACTIVATIONS), "hidden": Ordinal(16, 32, 64), "bits": Categorical(8, 32)}, layers=3
)
SPACE = SearchSpace(
    {"depth": Ordinal(1, 2, 3), "width": Ordinal(16, 32), **LAYERS.choices}, conditions=LAYERS.conditions
)

# The models: what an architecture of that space is


class Layer(nn.Module):
    """A gated layer in a residual branch.  x (batch, width) -> (batch, width)."""

    def __init__(self, width: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.inner = nn.Linear(width, 2 * hidden)  # two blocks: what is gated, and the gates
        self.outer = nn.Linear(hidden, width)
        self.activate = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.inner(x).chunk(2, dim=-1)
        return x + self.outer(value * self.activate(gate))


class MLP(nn.Module):
    """features (batch, features) -> logits (batch, classes); plain PyTorch that knows nothing of the search."""

    def __init__(self, architecture: Architecture, task: Task) -> None:
        super().__init__()
        width = architecture["width"]
        self.stem = nn.Linear(task.input_shape[0], width)
        self.layers = nn.ModuleList(
            Layer(width, architecture[f"layers.{index}.hidden"], architecture[f"layers.{index}.activation"])
            for index in range(architecture["depth"])
        )
        self.head = nn.Linear(width, task.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


FAMILY = own_model(
    summary="Gated MLP: depth and width; activation, hidden features and bits by layer",
    space=SPACE,
    build=MLP,
    layouts={"layers.*.inner.*": Packed(2)},
    example=Example(kind="features", shape=(13,), classes=3),
)
