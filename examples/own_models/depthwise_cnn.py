"""A convolutional network written by hand, searched: its depth and width, and for each block its kernel and expansion.

Depthwise kernels of all sizes share their centre; batch normalisation has statistics of its own in every architecture.
It reads tasks of images.  docs/own_models.md explains it and lists the commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces import Ordinal, SearchSpace, layered
from supernet import Centred
from supernet.models.extension import own_model
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet.tasks.task import Task

DEPTHS, WIDTHS, KERNELS, EXPANSIONS = (1, 2, 3), (8, 12, 16), (3, 5), (1, 2, 3)

# The space: what may vary

LAYERS = layered({"kernel": Ordinal(*KERNELS), "expansion": Ordinal(*EXPANSIONS)}, layers=max(DEPTHS))
SPACE = SearchSpace(
    {"width": Ordinal(*WIDTHS), "depth": Ordinal(*DEPTHS), **LAYERS.choices}, conditions=LAYERS.conditions
)

# Where a smaller tensor lies in a larger one, where that is not the leading slice

LAYOUTS = {"layers.*.depthwise.weight": Centred()}

# The model: what an architecture of that space is


class Block(nn.Module):
    """Expand, convolve each channel, project back, beside a shortcut.  Keeps (batch, width, height, width of image)."""

    def __init__(self, width: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, hidden, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(hidden)
        self.project = nn.Conv2d(hidden, width, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.expand_norm(self.expand(x)))
        hidden = torch.relu(self.depthwise_norm(self.depthwise(hidden)))
        return x + self.project_norm(self.project(hidden))


class DepthwiseCNN(nn.Module):
    """images (batch, channels, height, width) -> logits (batch, classes)."""

    def __init__(self, architecture: Architecture, task: Task) -> None:
        super().__init__()
        width = architecture["width"]
        self.stem = nn.Conv2d(task.input_shape[0], width, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.layers = nn.ModuleList()
        for index in range(architecture["depth"]):
            kernel, expansion = (architecture[f"layers.{index}.{name}"] for name in ("kernel", "expansion"))
            self.layers.append(Block(width, width * expansion, kernel))
        self.head = nn.Linear(width, task.classes)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.stem_norm(self.stem(images)))
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean((2, 3)))


FAMILY = own_model(
    "cnn",
    space=SPACE,
    build=DepthwiseCNN,
    layouts=LAYOUTS,
    example=Example(kind="image", shape=(1, 8, 8), classes=10),
    summary="Depthwise convolutions: depth and width; kernel and expansion by block",
)
