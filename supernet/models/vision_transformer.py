"""The plain vision transformer (Dosovitskiy et al. 2021) of one architecture.

Pre-norm blocks of a token mixer and a feed-forward network, mean pooling, a linear head.  Nothing here knows
of search or sharing.  Names follow one rule: parts that may share weights have the same name in every
architecture (full and windowed attention), parts that may not have names of their own (each patch size, the
convolution).
"""

# B batch, C channels, T tokens, D width

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.errors import IncompatibleTask
from supernet.mixers.convolution import DepthwiseConvolution
from supernet.mixers.softmax import SoftmaxAttention
from supernet.mixers.windowed import WindowedAttention
from supernet.models.family import ModelFamily

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces import Architecture
    from search_spaces.values import Value
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

HEAD_WIDTH = 16


@dataclass(frozen=True, kw_only=True)
class VisionTransformerConfig:
    """What the task fixes: square images of `image_size` pixels, `channels`, `classes`."""

    image_size: int
    channels: int
    classes: int
    head_width: int = HEAD_WIDTH


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to tokens, with a learned position each.  image_BCHW -> x_BTD."""

    def __init__(self, config: VisionTransformerConfig, *, patch: int, width: int) -> None:
        super().__init__()
        if config.image_size % patch:
            raise ValueError(
                f"a patch of {patch} pixels does not divide an image of {config.image_size}; "
                f"choose patch sizes that divide {config.image_size}."
            )
        self.project = nn.Conv2d(config.channels, width, patch, stride=patch)
        self.position = nn.Parameter(torch.empty((config.image_size // patch) ** 2, width))
        nn.init.trunc_normal_(self.position, std=0.5)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x_BTD: Tensor = self.project(image_BCHW).flatten(2).transpose(1, 2) + self.position
        return x_BTD


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them.  x_BTD -> out_BTD."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        out_BTD: Tensor = self.contract(nn.functional.gelu(self.expand(x_BTD)))
        return out_BTD


class Branch(nn.Module):
    """What a residual connection skips: a normalisation, then a module."""

    def __init__(self, width: int, body: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = body

    def forward(self, x_BTD: Tensor) -> Tensor:
        out_BTD: Tensor = self.body(self.norm(x_BTD))
        return out_BTD


class Block(nn.Module):
    """One layer: a token mixer (or none) and a feed-forward network, each in a residual branch.

    x_BTD -> out_BTD.
    """

    def __init__(self, answers: Mapping[str, Value], *, width: int, grid: int, head_width: int) -> None:
        super().__init__()
        mixer = answers["mixer"]
        self.attention: Branch | None = None
        self.convolution: Branch | None = None
        if mixer == "softmax":
            heads = int(answers["heads"])
            self.attention = Branch(width, SoftmaxAttention(width, heads=heads, head_width=head_width))
        elif mixer == "windowed":
            heads, side = int(answers["heads"]), int(answers["window"])
            body = WindowedAttention(width, heads=heads, head_width=head_width, grid=grid, side=side)
            self.attention = Branch(width, body)
        elif mixer == "convolution":
            self.convolution = Branch(width, DepthwiseConvolution(width, grid=grid))
        elif mixer != "identity":
            raise ValueError(f"unknown token mixer {mixer!r}; known: identity, convolution, windowed, softmax.")
        self.feed_forward = Branch(width, FeedForward(width, round(width * float(answers["mlp_ratio"]))))

    def forward(self, x_BTD: Tensor) -> Tensor:
        for mixer in (self.attention, self.convolution):
            if mixer is not None:
                x_BTD = x_BTD + mixer(x_BTD)
        out_BTD: Tensor = x_BTD + self.feed_forward(x_BTD)
        return out_BTD


class VisionTransformer(nn.Module):
    """image_BCHW -> logits of shape (batch, classes)."""

    def __init__(self, architecture: Architecture, config: VisionTransformerConfig) -> None:
        super().__init__()
        width, patch = int(architecture["width"]), int(architecture["patch"])
        grid = config.image_size // patch
        self.patch_name = f"patch_{patch}"  # a patch size is an alternative: it shares nothing with the others
        self.embeddings = nn.ModuleDict({self.patch_name: PatchEmbedding(config, patch=patch, width=width)})
        self.layers = nn.ModuleList(
            Block(_layer(architecture, index), width=width, grid=grid, head_width=config.head_width)
            for index in range(int(architecture["depth"]))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.classes)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x_BTD = self.embeddings[self.patch_name](image_BCHW)
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        logits: Tensor = self.head(self.norm(x_BTD).mean(1))
        return logits


def builder(config: VisionTransformerConfig) -> Build:
    """`build(architecture)` for images of this kind."""
    return partial(VisionTransformer, config=config)


def _for_task(task: Task) -> Build:
    if task.kind != "image" or task.per_position or task.input_shape[1] != task.input_shape[2]:
        raise IncompatibleTask(
            f"vision_transformer classifies square images (channels, size, size); the task {task.name!r} has inputs "
            f"of the kind {task.kind!r} and of shape {task.input_shape}."
        )
    channels, size, _ = task.input_shape
    return builder(VisionTransformerConfig(image_size=size, channels=channels, classes=task.classes))


FAMILY = ModelFamily(name="vision_transformer", builder=_for_task)


def _layer(architecture: Architecture, index: int) -> dict[str, Value]:
    prefix = f"layers.{index}."
    return {name.removeprefix(prefix): value for name, value in architecture.items() if name.startswith(prefix)}
