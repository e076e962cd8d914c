"""Small networks of known structure, and spaces over them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace

INPUTS, CLASSES, HEAD = 5, 3, 2


class Perceptron(nn.Module):
    """Two linear maps with a ReLU between them."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(INPUTS, hidden)
        self.down = nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.up(x).relu())
        return out


def perceptron(architecture: Architecture) -> nn.Module:
    return Perceptron(int(architecture["hidden"]))


PERCEPTRONS = SearchSpace({"hidden": Ordinal(2, 4)})


class PackedAttention(nn.Module):
    """Attention over tokens whose query, key and value are stacked in one map, heads within each.  x_BTD -> out_BTD."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.stacked = nn.Linear(INPUTS, 3 * heads * HEAD)
        self.out = nn.Linear(heads * HEAD, CLASSES)

    def forward(self, x_BTD: Tensor) -> Tensor:
        q, k, v = self.stacked(x_BTD).unflatten(-1, (3, self.heads, HEAD)).unbind(2)
        mixed = nn.functional.scaled_dot_product_attention(*(part.transpose(1, 2) for part in (q, k, v)))
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


def packed_attention(architecture: Architecture) -> nn.Module:
    return PackedAttention(int(architecture["heads"]))


HEADS = SearchSpace({"heads": Ordinal(1, 3)})


class GroupedAttention(nn.Module):
    """Two query heads for each key and value head, next to each other as in Llama.  x_BTD -> out_BTD."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.query = nn.Linear(INPUTS, groups * 2 * HEAD, bias=False)
        self.key = nn.Linear(INPUTS, groups * HEAD, bias=False)
        self.value = nn.Linear(INPUTS, groups * HEAD, bias=False)
        self.out = nn.Linear(groups * 2 * HEAD, CLASSES, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        q = self.query(x_BTD).unflatten(-1, (self.groups, 2, HEAD)).permute(0, 2, 3, 1, 4)
        k, v = (
            part(x_BTD).unflatten(-1, (self.groups, 1, HEAD)).permute(0, 2, 3, 1, 4) for part in (self.key, self.value)
        )
        weights = (q @ k.transpose(-1, -2) / HEAD**0.5).softmax(-1)
        out: Tensor = self.out((weights @ v).permute(0, 3, 1, 2, 4).flatten(2))
        return out


def grouped_attention(architecture: Architecture) -> nn.Module:
    return GroupedAttention(int(architecture["groups"]))


GROUPS = SearchSpace({"groups": Ordinal(1, 3)})


class Convolutions(nn.Module):
    """Two convolutions with batch normalisation between them, and the mean over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.last = nn.Conv2d(channels, CLASSES, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out: Tensor = self.last(self.depthwise(self.norm(self.first(x_BCHW)).relu())).mean((2, 3))
        return out


def convolutions(architecture: Architecture) -> nn.Module:
    return Convolutions(int(architecture["channels"]))


CHANNELS = SearchSpace({"channels": Ordinal(2, 4)})


class Residual(nn.Module):
    """A layer that adds to what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(INPUTS, INPUTS)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.map(x).tanh()
        return out


class Stack(nn.Module):
    """Residual layers, computed in one of the ways in which models do it, and a linear map."""

    def __init__(self, depth: int, way: str = "each") -> None:
        super().__init__()
        layers = [Residual() for _ in range(depth)]
        self.layers: nn.Module = nn.Sequential(*layers) if way == "sequential" else nn.ModuleList(layers)
        self.way = way
        self.head = nn.Linear(INPUTS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        layers = self.layers
        if isinstance(layers, nn.Sequential):
            x = layers(x)
        elif isinstance(layers, nn.ModuleList):
            by_way = {
                "each": iter(layers),
                "sliced": iter(layers[: len(layers)]),
                "numbered": (layers[number] for number in range(len(layers))),
                "backwards": (layers[-1 - number] for number in range(len(layers))),
            }
            for layer in by_way[self.way]:
                x = layer(x)
        out: Tensor = self.head(x)
        return out


DEPTHS = SearchSpace({"depth": Ordinal(1, 2, 3, 4)})


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with other values in every parameter and floating-point buffer."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return module.eval()
