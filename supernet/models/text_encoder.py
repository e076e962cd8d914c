"""The text encoder of one architecture: a classifier of token sequences like BERT (Devlin et al. 2019), pre-norm.

Learned positions, blocks of a token mixer and a feed-forward network, pooling over the tokens, a linear head.  Token 0
is padding: the logits do not depend on how much of it follows a sequence.  Nothing here knows of search or sharing.
Names follow one rule: parts that may share weights have the same name in every architecture (full and sliding
attention), parts that may not have names of their own (the convolution).
"""

# B batch, T tokens, D width

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.errors import IncompatibleTask
from supernet.mixers.padded_convolution import PaddedConvolution
from supernet.mixers.padded_sliding import PaddedSlidingAttention
from supernet.mixers.padded_softmax import PaddedSoftmaxAttention, cleared
from supernet.models.family import ModelFamily
from supernet.pretrained.axes import read, written
from supernet.pretrained.coupling import Axis, Coupling
from supernet.tasks.example import Example
from supernet.tasks.task import PADDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces import Architecture
    from search_spaces.values import Value
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

HEAD_WIDTH = 16


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """What the task fixes: identifiers below `vocabulary`, at most `tokens` of them, `classes`."""

    vocabulary: int
    tokens: int
    classes: int
    head_width: int = HEAD_WIDTH


class TokenEmbedding(nn.Module):
    """Identifiers to vectors, with a learned position each.  ids_BT -> x_BTD."""

    def __init__(self, config: TextEncoderConfig, *, width: int) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, width)
        self.position = nn.Parameter(torch.empty(config.tokens, width))
        nn.init.trunc_normal_(self.position, std=0.5)

    def forward(self, ids_BT: Tensor) -> Tensor:
        tokens, most = ids_BT.shape[1], len(self.position)
        if tokens > most:
            raise ValueError(f"a sequence of {tokens} tokens has no positions beyond {most}; give at most {most}.")
        x_BTD: Tensor = self.token(ids_BT) + self.position[:tokens]
        return x_BTD


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them.  x_BTD, real_BT -> out_BTD."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        out_BTD: Tensor = self.contract(cleared(nn.functional.gelu(self.expand(x_BTD)), real_BT))
        return out_BTD


class Branch(nn.Module):
    """What a residual connection skips: a normalisation, then a module.  x_BTD, real_BT -> out_BTD."""

    def __init__(self, width: int, body: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = body

    def forward(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        out_BTD: Tensor = self.body(cleared(self.norm(x_BTD), real_BT), real_BT)
        return out_BTD


class Block(nn.Module):
    """One layer: a token mixer (or none) and a feed-forward network, each in a residual branch.

    x_BTD, real_BT -> out_BTD.
    """

    def __init__(self, answers: Mapping[str, Value], *, width: int, head_width: int) -> None:
        super().__init__()
        mixer = answers["mixer"]
        self.attention: Branch | None = None
        self.convolution: Branch | None = None
        if mixer == "softmax":
            heads = int(answers["heads"])
            self.attention = Branch(width, PaddedSoftmaxAttention(width, heads=heads, head_width=head_width))
        elif mixer == "sliding":
            heads, window = int(answers["heads"]), int(answers["window"])
            body = PaddedSlidingAttention(width, heads=heads, head_width=head_width, window=window)
            self.attention = Branch(width, body)
        elif mixer == "convolution":
            self.convolution = Branch(width, PaddedConvolution(width))
        elif mixer != "identity":
            raise ValueError(f"unknown token mixer {mixer!r}; known: identity, convolution, sliding, softmax.")
        self.feed_forward = Branch(width, FeedForward(width, round(width * float(answers["mlp_ratio"]))))

    def forward(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        for mixer in (self.attention, self.convolution):
            if mixer is not None:
                x_BTD = x_BTD + mixer(x_BTD, real_BT)
        out_BTD: Tensor = x_BTD + self.feed_forward(x_BTD, real_BT)
        return out_BTD


class TextEncoder(nn.Module):
    """ids_BT, int64 -> logits of shape (batch, classes)."""

    def __init__(self, architecture: Architecture, config: TextEncoderConfig) -> None:
        super().__init__()
        width, self.pooling = int(architecture["width"]), architecture["pooling"]
        if self.pooling not in ("first", "mean"):
            raise ValueError(f"unknown pooling {self.pooling!r}; known: first, mean.")
        self.embedding = TokenEmbedding(config, width=width)
        self.layers = nn.ModuleList(
            Block(_layer(architecture, index), width=width, head_width=config.head_width)
            for index in range(int(architecture["depth"]))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.classes)

    def forward(self, ids_BT: Tensor) -> Tensor:
        real_BT = ids_BT != PADDING
        x_BTD = self.embedding(ids_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, real_BT)
        logits: Tensor = self.head(self._pooled(self.norm(x_BTD), real_BT))
        return logits

    def _pooled(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        """One vector for each sequence; of an empty one, the mean is zero.  Returns x_BD."""
        if self.pooling == "first":
            return x_BTD[:, 0]
        count_B1 = real_BT.sum(1, keepdim=True).clamp(min=1)
        return cleared(x_BTD, real_BT).sum(1) / count_B1


def builder(config: TextEncoderConfig) -> Build:
    """`build(architecture)` for sequences of this kind."""
    return partial(TextEncoder, config=config)


def _for_task(task: Task) -> Build:
    if task.kind != "tokens" or task.per_position or task.vocabulary is None:
        targets = "each of its tokens" if task.per_position else "each sample"
        raise IncompatibleTask(
            "text_encoder gives one class to a sequence of tokens from a vocabulary of known size; the task "
            f"{task.name!r} has inputs of the kind {task.kind!r}, a vocabulary of {task.vocabulary} and a target for "
            f"{targets}."
        )
    (tokens,) = task.input_shape
    return builder(TextEncoderConfig(vocabulary=task.vocabulary, tokens=tokens, classes=task.classes))


def _couplings(_: Architecture) -> tuple[Coupling, ...]:
    """Heads and hidden features of each layer, and the features that all layers share."""
    width = (
        Axis("embedding.token.weight", 1),
        Axis("embedding.position", 1),
        *written("layers.*.norm", "norm"),
        *read("layers.*.query", "layers.*.key", "layers.*.value", "layers.*.expand", "head"),
        *written("layers.*.depthwise", "layers.*.output", "layers.*.contract"),
        *read("layers.*.convolution.body.output"),
    )
    heads = (*written("query", "key", "value", block=HEAD_WIDTH), *read("output", block=HEAD_WIDTH))
    hidden = (*written("expand"), *read("contract"))
    return (
        Coupling("heads", heads, at="layers.*.attention.body", optional=True),
        Coupling("hidden features", hidden, at="layers.*.feed_forward.body"),
        Coupling("width", width, optional=True),
    )


FAMILY = ModelFamily(
    name="text_encoder",
    builder=_for_task,
    example=Example(kind="tokens", shape=(40,), classes=3, vocabulary=17),
    couplings=_couplings,
    residual_layers=("layers",),
)


def _layer(architecture: Architecture, index: int) -> dict[str, Value]:
    """The answers of one layer; a total number of heads is divided among the layers, all of which attend."""
    prefix = f"layers.{index}."
    answers = {name.removeprefix(prefix): value for name, value in architecture.items() if name.startswith(prefix)}
    if "total_heads" in architecture:
        total, depth = int(architecture["total_heads"]), int(architecture["depth"])
        if total % depth:
            raise ValueError(f"{total} heads cannot be divided among {depth} layers; choose a depth that divides them.")
        answers["heads"] = total // depth
    return answers
