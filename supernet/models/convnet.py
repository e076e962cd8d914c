"""The convolutional network of one architecture: inverted residual blocks (MobileNetV2, Sandler et al. 2018,
section 3.3) in stages, as Once-for-All searches them (Cai et al. 2020, section 3.2), with channel attention where
the architecture places it ("A Little Bit Attention Is All You Need for Person Re-Identification", 2023).

Every convolution is followed by batch normalisation; mean pooling and a linear head end the network.  Nothing here
knows of search or sharing.  Names follow one rule: parts that may share weights have the same name in every
architecture (kernels of all sizes: the smaller one is the middle of the larger), parts that may not have names of
their own (each kind of attention).
"""

# B batch, C channels, H and W height and width

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from supernet.channel_attention.eca import EfficientChannelAttention
from supernet.channel_attention.squeeze_excite import SqueezeExcite
from supernet.errors import IncompatibleTask
from supernet.models.family import ModelFamily
from supernet.pretrained.axes import normalised, read, written
from supernet.pretrained.coupling import Axis, Coupling
from supernet.slicing import Centred, Layout
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces import Architecture
    from search_spaces.values import Value
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

STEM_WIDTH = 16  # channels that the first stage is given
STEM_KERNEL = 3  # pixels a side

_ATTENTION = {"eca": EfficientChannelAttention, "se": SqueezeExcite}


@dataclass(frozen=True, kw_only=True)
class ConvNetConfig:
    """What the task fixes: images of `height` x `width` pixels, `channels`, `classes`."""

    height: int
    width: int
    channels: int
    classes: int
    stem_width: int = STEM_WIDTH


class DepthwiseConvolution(nn.Conv2d):
    """Each channel with a square kernel of its own, zero beyond the edge: `side` pixels become ceil(side / stride)."""

    parameter_layouts: ClassVar[dict[str, Layout]] = {"weight": Centred()}

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels, bias=False)


class Normalised(nn.Module):
    """A convolution without bias, and batch normalisation."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(convolution.out_channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out_BCHW: Tensor = self.norm(self.convolution(x_BCHW))
        return out_BCHW


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, weigh the channels (or not), project back.  x_BCHW -> out_BCHW.

    The attention stands on the expanded channels, after the depthwise convolution (MnasNet, Tan et al. 2019, figure
    7).  A block that halves the image, and may change its channels, has no shortcut; every other has one.
    """

    def __init__(self, answers: Mapping[str, Value], *, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        if stride == 1 and inputs != outputs:
            raise ValueError(f"a block with a shortcut keeps its channels; got {inputs} in and {outputs} out.")
        hidden = inputs * int(answers["expansion"])
        self.shortcut = stride == 1
        self.expand = Normalised(nn.Conv2d(inputs, hidden, 1, bias=False))
        self.depthwise = Normalised(DepthwiseConvolution(hidden, int(answers["kernel"]), stride))
        self.attention = nn.ModuleDict()  # at most one, under its own name
        kind = str(answers["attention"])
        if kind in _ATTENTION:
            self.attention[kind] = _ATTENTION[kind](hidden)
        elif kind != "none":
            raise ValueError(f"unknown attention block {kind!r}; known: none, {', '.join(_ATTENTION)}.")
        self.project = Normalised(nn.Conv2d(hidden, outputs, 1, bias=False))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        hidden = nn.functional.relu6(self.expand(x_BCHW))
        hidden = nn.functional.relu6(self.depthwise(hidden))
        for attention in self.attention.values():
            hidden = attention(hidden)
        out_BCHW: Tensor = self.project(hidden)
        return x_BCHW + out_BCHW if self.shortcut else out_BCHW


class Stage(nn.Module):
    """Blocks on one resolution: the first halves the image and brings it to `outputs` channels, the others keep both.

    x_BCHW -> out_BCHW.
    """

    def __init__(self, architecture: Architecture, prefix: str, *, inputs: int) -> None:
        super().__init__()
        outputs = int(architecture[f"{prefix}.width"])
        self.blocks = nn.ModuleList(
            InvertedResidual(
                _below(architecture, f"{prefix}.blocks.{index}."),
                inputs=outputs if index else inputs,
                outputs=outputs,
                stride=1 if index else 2,
            )
            for index in range(int(architecture[f"{prefix}.depth"]))
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
        return x_BCHW


class ConvNet(nn.Module):
    """image_BCHW -> logits of shape (batch, classes)."""

    def __init__(self, architecture: Architecture, config: ConvNetConfig) -> None:
        super().__init__()
        stages = _count_stages(architecture)
        if min(config.height, config.width) < 2**stages:
            raise IncompatibleTask(
                f"{stages} stages halve an image {stages} times, and one of {config.height} x {config.width} pixels "
                f"cannot be; both sides must have at least {2**stages} pixels. Use fewer stages or larger images."
            )
        stem = nn.Conv2d(config.channels, config.stem_width, STEM_KERNEL, padding=STEM_KERNEL // 2, bias=False)
        self.stem = Normalised(stem)
        self.stages = nn.ModuleList()
        width = config.stem_width
        for index in range(stages):
            self.stages.append(Stage(architecture, f"stages.{index}", inputs=width))
            width = int(architecture[f"stages.{index}.width"])
        self.head = nn.Linear(width, config.classes)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x_BCHW = nn.functional.relu6(self.stem(image_BCHW))
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        logits: Tensor = self.head(x_BCHW.mean((2, 3)))
        return logits


def builder(config: ConvNetConfig) -> Build:
    """`build(architecture)` for images of this kind.

    What it builds raises `IncompatibleTask` for images too small for the architecture's stages.
    """
    return partial(ConvNet, config=config)


def _for_task(task: Task) -> Build:
    if task.kind != "image" or task.per_position:
        raise IncompatibleTask(
            f"convnet classifies images (channels, height, width), one class each; the task {task.name!r} has inputs "
            f"of the kind {task.kind!r} and of shape {task.input_shape}"
            f"{', and targets by position' if task.per_position else ''}."
        )
    channels, height, width = task.input_shape
    return builder(ConvNetConfig(height=height, width=width, channels=channels, classes=task.classes))


def _couplings(architecture: Architecture) -> tuple[Coupling, ...]:
    """Channels of each stage, channels within each block, and those within squeeze-and-excitation.

    Within a block with efficient channel attention a channel is weighed by its neighbours, and has to keep them.
    """
    found = []
    stages = _count_stages(architecture)
    for stage in range(stages):
        prefix = f"stages.{stage}.blocks"
        blocks = range(int(architecture[f"stages.{stage}.depth"]))
        after = "head" if stage == stages - 1 else f"stages.{stage + 1}.blocks.0.expand.convolution"
        outputs = (
            Axis(f"{prefix}.*.project.convolution.weight"),
            *normalised(f"{prefix}.*.project.norm"),
            *read(*(f"{prefix}.{index}.expand.convolution" for index in blocks if index), after),
        )
        found.append(Coupling(f"channels of stage {stage}", outputs))
        for index in blocks:
            attention = architecture[f"{prefix}.{index}.attention"]
            weighed = (*read("attention.se.reduce"), *written("attention.se.expand")) if attention == "se" else ()
            if attention != "eca":
                found.append(Coupling("hidden channels", (*_HIDDEN, *weighed), at=f"{prefix}.{index}"))
    squeezed = (*written("reduce"), *read("expand"))
    found.append(Coupling("squeezed channels", squeezed, at="stages.*.blocks.*.attention.se", optional=True))
    return tuple(found)


_HIDDEN = (
    Axis("expand.convolution.weight"),
    *normalised("expand.norm"),
    Axis("depthwise.convolution.weight"),
    *normalised("depthwise.norm"),
    *read("project.convolution"),
)

FAMILY = ModelFamily(
    name="convnet",
    builder=_for_task,
    example=Example(kind="image", shape=(3, 16, 16), classes=3),
    couplings=_couplings,
)


def _count_stages(architecture: Architecture) -> int:
    return sum(re.fullmatch(r"stages\.\d+\.depth", name) is not None for name in architecture)


def _below(architecture: Architecture, prefix: str) -> dict[str, Value]:
    return {name.removeprefix(prefix): value for name, value in architecture.items() if name.startswith(prefix)}
