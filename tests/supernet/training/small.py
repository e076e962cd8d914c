"""A task, a space and a model small enough to train in milliseconds, with everything that makes resuming hard:
dropout, running statistics, a tied parameter and layers that not every architecture has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet.tasks.task import Split, Task

FEATURES, CLASSES = 6, 3


def small_task(*, samples: int = 40) -> Task:
    """Three Gaussian clouds; feature 0 is the number of the sample, so that a batch tells where it came from."""
    generator = torch.Generator().manual_seed(7)
    parts = []
    for part in range(3):
        targets = torch.arange(samples) % CLASSES
        inputs = torch.randn(samples, FEATURES, generator=generator) + targets[:, None]
        inputs[:, 0] = torch.arange(samples) / 100 + part
        parts.append(Split(inputs, targets))
    return Task(name="clouds", train=parts[0], validation=parts[1], test=parts[2], classes=CLASSES, augment=jitter)


def jitter(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Noise on every feature but the first."""
    noise = torch.randn(inputs.shape, generator=generator) * 0.1
    noise[:, 0] = 0
    return inputs + noise


def small_space() -> SearchSpace:
    """Six architectures."""
    return SearchSpace({"depth": Ordinal(0, 1, 2), "width": Ordinal(4, 8)})


class SmallNet(nn.Module):
    """Linear maps with dropout and batch normalisation; the last scale is tied to the first."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = int(architecture["width"])
        self.enter = nn.Linear(FEATURES, width)
        self.norm = nn.BatchNorm1d(width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(int(architecture["depth"])))
        self.dropout = nn.Dropout(0.3)
        self.scale = nn.Parameter(torch.ones(width))
        self.scale_again = self.scale
        self.leave = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.enter(x)).relu()) * self.scale
        for layer in self.layers:
            x = x + self.dropout(layer(x).relu())
        return self.leave(x * self.scale_again)


def small_net(seed: int = 0, **answers: int) -> SmallNet:
    """One network of its own, its initial values from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmallNet(Architecture({"depth": 2, "width": 8, **answers}))


def state(module: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter and buffer."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether both hold the same names and the same bits."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
