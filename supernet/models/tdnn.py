"""The time-delay network of one architecture (EfficientTDNN, Wang et al. 2021; x-vectors, Snyder et al. 2018).

Convolution blocks over time, aggregation of what the blocks give, statistics over time, an embedding, and for each
class a prototype that it is compared with.  Nothing here knows of search or sharing.  A smaller kernel is the middle
of a larger one; everything else nests by its leading features.
"""

# B batch, C features, F frames, E embedding, P pooled features

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.errors import IncompatibleTask
from supernet.models.family import ModelFamily
from supernet.pretrained.axes import normalised, read, written
from supernet.pretrained.coupling import Axis, Coupling
from supernet.slicing import Centred, Layout, Packed
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

LARGEST_DILATION = 4  # of block i: i + 1 frames, at most this
COSINE_SCALE = 30.0  # a logit is this times a cosine (AM-Softmax, Wang et al. 2018, section 4)
EPSILON = 1e-5  # added to a variance: the root has no slope at zero


@dataclass(frozen=True, kw_only=True)
class TDNNConfig:
    """What the task fixes: `features` of a frame, `classes`."""

    features: int
    classes: int


class CentredConvolution(nn.Conv1d):
    """A convolution over time whose smaller kernels are the middle of larger ones.  x_BCF -> out_BCF."""

    parameter_layouts: ClassVar[dict[str, Layout]] = {"weight": Centred()}


class StatisticsLinear(nn.Linear):
    """A linear map of two statistics side by side, each with as many features as are pooled.

    Narrower statistics are the leading half of each, not of the whole.
    """

    parameter_layouts: ClassVar[dict[str, Layout]] = {"weight": Packed(2, axis=1)}


class Block(nn.Module):
    """A dilated convolution over as many frames as there were, a batch normalisation, a ReLU.  x_BCF -> out_BCF."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, dilation: int) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"a kernel of {kernel} frames has no middle; choose an odd one.")
        around = dilation * (kernel // 2)
        # Without a bias: the normalisation would take it away again.
        self.convolution = CentredConvolution(inputs, outputs, kernel, padding=around, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x_BCF: Tensor) -> Tensor:
        return F.relu(self.norm(self.convolution(x_BCF)))


class Aggregation(nn.Module):
    """The outputs of some blocks, as one sequence of `pooled` features a frame.

    A linear map of their concatenation, written as the sum of one map for each: where a block may be narrower, its part
    of a concatenated axis begins elsewhere, and a shared map would mix up the blocks.  Maps have the blocks' numbers.
    """

    def __init__(self, widths: dict[int, int], *, pooled: int) -> None:
        super().__init__()
        self.maps = nn.ModuleDict(
            {str(block): nn.Conv1d(width, pooled, 1, bias=False) for block, width in widths.items()}
        )
        self.norm = nn.BatchNorm1d(pooled)

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """outputs[i]: (batch, width of block i, frames) -> x_BPF."""
        mapped = [project(outputs[int(block)]) for block, project in self.maps.items()]
        return F.relu(self.norm(sum(mapped[1:], mapped[0])))


class TDNN(nn.Module):
    """x_BCF -> logits of shape (batch, classes): scaled cosines between the embedding and the classes' prototypes."""

    def __init__(self, architecture: Architecture, config: TDNNConfig) -> None:
        super().__init__()
        depth, pooled = int(architecture["depth"]), int(architecture["pooled"])
        widths = [int(architecture[f"layers.{index}.width"]) for index in range(depth)]
        self.layers = nn.ModuleList(
            Block(
                inputs,
                outputs,
                kernel=int(architecture[f"layers.{index}.kernel"]),
                dilation=min(index + 1, LARGEST_DILATION),
            )
            for index, (inputs, outputs) in enumerate(zip([config.features, *widths[:-1]], widths, strict=True))
        )
        self.aggregation = Aggregation(
            {index: widths[index] for index in _aggregated(str(architecture["aggregation"]), depth)}, pooled=pooled
        )
        self.project = StatisticsLinear(2 * pooled, int(architecture["embedding"]))
        self.prototypes = nn.Parameter(torch.empty(config.classes, int(architecture["embedding"])))
        nn.init.normal_(self.prototypes)

    def forward(self, x_BCF: Tensor) -> Tensor:
        return COSINE_SCALE * F.linear(self.embed(x_BCF), F.normalize(self.prototypes, dim=-1))

    def embed(self, x_BCF: Tensor) -> Tensor:
        """What stands for a recording, of length one: the cosine of two is their product.  Returns embedding_BE."""
        outputs: list[Tensor] = []
        for layer in self.layers:
            x_BCF = layer(x_BCF)
            outputs.append(x_BCF)
        return F.normalize(self.project(_statistics(self.aggregation(outputs))), dim=-1)


def _statistics(x_BPF: Tensor) -> Tensor:
    """Mean and standard deviation over time, side by side: (batch, 2 * pooled)."""
    mean_BP1 = x_BPF.mean(-1, keepdim=True)
    variance_BP = (x_BPF - mean_BP1).square().mean(-1)
    return torch.cat([mean_BP1.squeeze(-1), torch.sqrt(variance_BP + EPSILON)], 1)


def _aggregated(aggregation: str, depth: int) -> range:
    """The numbers of the blocks that are aggregated."""
    if aggregation == "all":
        return range(depth)
    if aggregation == "last":
        return range(depth - 1, depth)
    raise ValueError(f"unknown aggregation {aggregation!r}; known: last, all.")


def builder(config: TDNNConfig) -> Build:
    """`build(architecture)` for recordings of this kind."""
    return partial(TDNN, config=config)


def _for_task(task: Task) -> Build:
    if task.kind != "audio" or task.per_position:
        targets = "each position" if task.per_position else "each sample"
        raise IncompatibleTask(
            f"tdnn classifies recordings (features, frames); the task {task.name!r} has inputs of the kind "
            f"{task.kind!r} and of shape {task.input_shape}, and a target for {targets}."
        )
    return builder(TDNNConfig(features=task.input_shape[0], classes=task.classes))


def _couplings(architecture: Architecture) -> tuple[Coupling, ...]:
    """Features of each block, pooled features, and those of the embedding."""
    found = []
    depth = int(architecture["depth"])
    aggregated = _aggregated(str(architecture["aggregation"]), depth)
    for index in range(depth):
        readers = [f"layers.{index + 1}.convolution"] if index + 1 < depth else []
        readers += [f"aggregation.maps.{index}"] if index in aggregated else []
        own = (Axis(f"layers.{index}.convolution.weight"), *normalised(f"layers.{index}.norm"))
        found.append(Coupling(f"features of block {index}", (*own, *read(*readers))))
    pooled = (Axis("aggregation.maps.*.weight"), *normalised("aggregation.norm"), *read("project", parts=2))
    return (
        *found,
        Coupling("pooled features", pooled),
        Coupling("embedding", (*written("project"), Axis("prototypes", 1))),
    )


FAMILY = ModelFamily(
    name="tdnn",
    builder=_for_task,
    example=Example(kind="audio", shape=(10, 24), classes=3),
    couplings=_couplings,
)
