"""The vision transformer of one architecture: flat (Dosovitskiy et al. 2021), or in stages between which the grid of
tokens is halved (ViT-ResNAS, Liao et al. 2021).

Pre-norm layers, of which `vision_stages` has the parts; then the mean of all tokens, or a class token, and a linear
head.  Nothing here knows of search or sharing.  Names follow one rule: parts that may share weights have the same name
in every architecture (full and windowed attention; the head of both poolings, since the layers compute with class
token and image alike), parts that may not have names of their own (each patch size, the convolutions, the head of
each number of stages).
"""

# B batch, C channels, T tokens, D width

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.errors import IncompatibleTask
from supernet.models.family import ModelFamily
from supernet.models.vision_stages import Block, Reduction, Stage, Tokens
from supernet.pretrained.axes import read, written
from supernet.pretrained.coupling import Axis, Coupling
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from search_spaces import Architecture
    from search_spaces.values import Value
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

HEAD_WIDTH = 16
INITIAL_SPREAD = 0.5  # standard deviation of positions and of the class token


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
        nn.init.trunc_normal_(self.position, std=INITIAL_SPREAD)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x_BTD: Tensor = self.project(image_BCHW).flatten(2).transpose(1, 2) + self.position
        return x_BTD


class VisionTransformer(nn.Module):
    """image_BCHW -> logits of shape (batch, classes).

    A flat network has its `layers`, `norm` and `head` itself; one in stages has `stages`, the last of which holds
    norm and head.
    """

    def __init__(self, architecture: Architecture, config: VisionTransformerConfig) -> None:
        super().__init__()
        self.flat = "stages" not in architecture
        stages = 1 if self.flat else int(architecture["stages"])
        width, patch = int(architecture["width" if self.flat else "stages.0.width"]), int(architecture["patch"])
        self.pooling = str(architecture.get("pooling", "mean"))
        if self.pooling not in ("mean", "token"):
            raise ValueError(f"unknown pooling {self.pooling!r}; known: mean, token.")
        self.patch_name = f"patch_{patch}"  # a patch size is an alternative: it shares nothing with the others
        self.embeddings = nn.ModuleDict({self.patch_name: PatchEmbedding(config, patch=patch, width=width)})
        tokens = Tokens(width=width, grid=config.image_size // patch, class_token=self.pooling == "token")
        _check_halving(tokens.grid, stages, patch=patch, image_size=config.image_size)
        if tokens.class_token:
            self.class_token = nn.Parameter(torch.empty(1, 1, width))
            nn.init.trunc_normal_(self.class_token, std=INITIAL_SPREAD)
        if self.flat:
            self.layers = _layers(architecture, "", tokens, config)
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, config.classes)
        else:
            self.stages = nn.ModuleList(_stages(architecture, stages, tokens, config))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x_BTD = self.embeddings[self.patch_name](image_BCHW)
        if self.pooling == "token":
            x_BTD = torch.cat([self.class_token.expand(x_BTD.shape[0], -1, -1), x_BTD], 1)
        if self.flat:
            parts, norm, head = self.layers, self.norm, self.head
        else:
            last = self.stages[-1]
            assert isinstance(last, Stage)
            parts, norm, head = self.stages, last.norm, last.head
        for part in parts:
            x_BTD = part(x_BTD)
        normed = norm(x_BTD)
        logits: Tensor = head(normed[:, 0] if self.pooling == "token" else normed.mean(1))
        return logits


def _check_halving(grid: int, stages: int, *, patch: int, image_size: int) -> None:
    unit = 2 ** (stages - 1)
    if grid % unit:
        raise ValueError(
            f"{stages} stages halve the grid of tokens {stages - 1} times, but a patch of {patch} pixels divides an "
            f"image of {image_size} into {grid} x {grid} tokens, and {unit} does not divide {grid}; choose fewer "
            f"stages, or patch sizes that leave a multiple of {unit}."
        )


def _layers(architecture: Architecture, prefix: str, tokens: Tokens, config: VisionTransformerConfig) -> nn.ModuleList:
    """The layers of one stage, or, with an empty prefix, of a flat network."""
    block = str(architecture.get(f"{prefix}block", "transformer"))
    return nn.ModuleList(
        Block(
            _below(architecture, f"{prefix}layers.{index}."), block=block, tokens=tokens, head_width=config.head_width
        )
        for index in range(int(architecture[f"{prefix}depth"]))
    )


def _stages(architecture: Architecture, count: int, tokens: Tokens, config: VisionTransformerConfig) -> Iterator[Stage]:
    reduction: Reduction | None = None
    for stage in range(count):
        prefix = f"stages.{stage}."
        try:
            if stage:
                width = int(architecture[f"{prefix}width"])
                reduction = Reduction(tokens, width=width)
                tokens = replace(tokens, width=width, grid=tokens.grid // 2)
            layers = _layers(architecture, prefix, tokens, config)
        except ValueError as error:
            raise ValueError(f"stage {stage}: {error}") from error
        last = stage == count - 1
        yield Stage(reduction, layers, width=tokens.width, classes=config.classes if last else None)


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


def _couplings(architecture: Architecture) -> tuple[Coupling, ...]:
    """Heads and hidden features of each layer, and, of a flat network, the features that all layers share.

    Between stages features are added to those before: their order could only change together, within each stage's own.
    """
    heads = (*written("query", "key", "value", block=HEAD_WIDTH), *read("output", block=HEAD_WIDTH))
    hidden = (*written("expand"), *read("contract"))
    flat = "stages" not in architecture
    layer = "layers.*" if flat else "stages.*.layers.*"
    by_layer = (
        Coupling("heads", heads, at=f"{layer}.attention.body", optional=True),
        Coupling("hidden features", hidden, at=f"{layer}.feed_forward.body", optional=True),
        Coupling("hidden features", (*hidden, *written("depthwise")), at=f"{layer}.inverted.body", optional=True),
    )
    width = (
        *written("embeddings.*.project"),
        Axis("embeddings.*.position", 1),
        Axis("class_token", 2),
        *written("layers.*.norm", "norm"),
        *read("layers.*.query", "layers.*.key", "layers.*.value", "layers.*.expand", "head"),
        *written("layers.*.convolution.body.depthwise", "layers.*.output", "layers.*.contract"),
        *read("layers.*.convolution.body.output"),
    )
    return (*by_layer, Coupling("width", width, optional=True)) if flat else by_layer


FAMILY = ModelFamily(
    name="vision_transformer",
    builder=_for_task,
    example=Example(kind="image", shape=(1, 8, 8), classes=3),
    couplings=_couplings,
    residual_layers=("layers", "stages.*.layers"),
)


def _below(architecture: Architecture, prefix: str) -> dict[str, Value]:
    return {name.removeprefix(prefix): value for name, value in architecture.items() if name.startswith(prefix)}
