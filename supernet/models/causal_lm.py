"""The decoder-only language model of one architecture: what follows each token.

Pre-norm layers of a token mixer and a feed-forward network, each in a residual branch; positions only through the
mixers; the output head is not tied to the embedding (a task may have more classes than tokens, or fewer).  Nothing here
knows of search or sharing.  Names follow one rule: parts that may share weights have the same name in every
architecture (attention of all spans and numbers of heads), parts that may not have names of their own (each mixer, each
width of a head, plain and gated networks, each norm).

Linear maps of 8 bits round the inputs of all tokens of a sequence with one range: with them, and only with them, a
later token can move an earlier output by a rounding, and decoding differs from the parallel form by as much.
"""

# B batch, T tokens, D width

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import gcd, lcm
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from supernet.errors import IncompatibleTask
from supernet.mixers.decayed_linear import DecayedLinearAttention
from supernet.mixers.grouped_attention import GroupedAttention
from supernet.mixers.short_convolution import ShortConvolution
from supernet.models.decoding import DecodeStep, state_bytes
from supernet.models.family import ModelFamily, Workload
from supernet.models.feed_forward import GatedFeedForward, PlainFeedForward
from supernet.pretrained.axes import read, written
from supernet.pretrained.coupling import Axis, Coupling
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces import Architecture
    from search_spaces.values import Value
    from supernet.mixers.head_groups import Span
    from supernet.mixers.sequence import SequenceMixer, State
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

EMBEDDING_STD = 0.02
_NORMS = {"rms": nn.RMSNorm, "layer": nn.LayerNorm}
_FEED_FORWARDS = {"plain": PlainFeedForward, "gated": GatedFeedForward}


@dataclass(frozen=True, kw_only=True)
class CausalLMConfig:
    """What the task fixes: identifiers below `vocabulary`, `classes` to predict, a `context` of so many tokens."""

    vocabulary: int
    classes: int
    context: int


class Norm(nn.Module):
    """A normalisation of each token, under a name of its own: a LayerNorm shares nothing with an RMSNorm."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.only = nn.ModuleDict({kind: _NORMS[kind](width)})

    def forward(self, x: Tensor) -> Tensor:
        (norm,) = self.only.values()
        out: Tensor = norm(x)
        return out


class Branch(nn.Module):
    """What a residual connection skips: a normalisation, then a module."""

    def __init__(self, norm: str, width: int, body: nn.Module) -> None:
        super().__init__()
        self.norm = Norm(norm, width)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(self.norm(x))
        return out


class Layer(nn.Module):
    """A token mixer (or none) and a feed-forward network (or none), each in a residual branch.  x_BTD -> out_BTD."""

    def __init__(self, architecture: Architecture, index: int, config: CausalLMConfig) -> None:
        super().__init__()
        prefix = f"layers.{index}."
        answers = {n.removeprefix(prefix): value for n, value in architecture.items() if n.startswith(prefix)}
        width, norm = int(architecture["width"]), str(architecture["norm"])
        mixers = _mixer(answers, architecture, prefix, config)
        self.mixer = nn.ModuleDict({name: Branch(norm, width, body) for name, body in mixers.items()})
        self.feed_forward = nn.ModuleDict()
        if answers["mlp_ratio"]:
            kind = str(answers["feed_forward"])
            body = _FEED_FORWARDS[kind](width, round(width * float(answers["mlp_ratio"])))
            self.feed_forward[kind] = Branch(norm, width, body)

    def forward(self, x_BTD: Tensor) -> Tensor:
        for branch in (*self.mixer.values(), *self.feed_forward.values()):
            x_BTD = x_BTD + branch(x_BTD)
        return x_BTD

    def start(self, batch: int, tokens: int) -> State:
        """The mixer's state; empty where there is none."""
        return tuple(part for mixer in self._mixers() for part in mixer.start(batch, tokens))

    def step(self, x_BD: Tensor, position_B: Tensor, state: State) -> tuple[Tensor, State]:
        """One token; see `SequenceMixer`."""
        for branch, mixer in zip(self.mixer.values(), self._mixers(), strict=True):
            mixed_BD, state = mixer.step(branch.get_submodule("norm")(x_BD), position_B, state)
            x_BD = x_BD + mixed_BD
        for branch in self.feed_forward.values():
            x_BD = x_BD + branch(x_BD)
        return x_BD, state

    def _mixers(self) -> list[SequenceMixer]:
        return [cast("SequenceMixer", branch.body) for branch in self.mixer.values()]


class CausalLM(nn.Module):
    """token_BT -> logits of shape (batch, tokens, classes); those of a token depend on it and on earlier ones.

    Any number of tokens can be read, also more than `context`.
    """

    def __init__(self, architecture: Architecture, config: CausalLMConfig) -> None:
        super().__init__()
        width = int(architecture["width"])
        self.embedding = nn.Embedding(config.vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(Layer(architecture, i, config) for i in range(int(architecture["depth"])))
        self.norm = Norm(str(architecture["norm"]), width)
        self.head = nn.Linear(width, config.classes)

    def forward(self, token_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(token_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        logits: Tensor = self.head(self.norm(x_BTD))
        return logits


def builder(config: CausalLMConfig) -> Build:
    """`build(architecture)` for tokens of this kind.

    It raises `IncompatibleTask` for a span longer than the context, and `ValueError` for heads that do not divide.
    """
    return partial(CausalLM, config=config)


def _mixer(
    answers: Mapping[str, Value], architecture: Architecture, prefix: str, config: CausalLMConfig
) -> dict[str, nn.Module]:
    """The layer's token mixer by the name under which it shares weights; none for `identity`."""
    mixer, width = answers["mixer"], int(architecture["width"])
    if mixer == "identity":
        return {}
    if mixer == "short_convolution":
        return {mixer: ShortConvolution(width)}
    if mixer not in ("linear", "softmax"):
        raise ValueError(f"unknown token mixer {mixer!r}; known: identity, short_convolution, linear, softmax.")
    heads, head_width = int(answers["heads"]), int(architecture["head_width"])
    name = f"{mixer}_{head_width}"  # heads of different widths lie in different rows of a projection
    if mixer == "linear":
        return {name: DecayedLinearAttention(width, heads=heads, head_width=head_width)}
    attention = GroupedAttention(
        width,
        heads=heads,
        head_width=head_width,
        key_heads=int(answers["key_heads"]),
        value_heads=int(answers["value_heads"]),
        spans=_spans(answers, prefix, config.context),
        rotary=architecture["positions"] == "rotary",
    )
    return {name: attention}


def _spans(answers: Mapping[str, Value], prefix: str, context: int) -> tuple[Span, ...]:
    """Of even and odd heads.  A space may leave out what is not to be chosen: all see everything."""
    even = answers.get("span", "full")
    odd = answers.get("local_span", "same")
    spans = {"span": even, "local_span": even if odd == "same" else odd}
    for name, span in spans.items():
        if span != "full" and int(span) > context:
            raise IncompatibleTask(
                f"{prefix}{name} is {span} tokens, and the task's context has {context}; "
                f"use spans of at most {context}, or 'full'."
            )
    return tuple(None if span == "full" else int(span) for span in spans.values())


def _for_task(task: Task) -> Build:
    if task.kind != "tokens" or not task.per_position or task.vocabulary is None:
        raise IncompatibleTask(
            f"causal_lm predicts a class for each token of a sequence; the task {task.name!r} has inputs of the kind "
            f"{task.kind!r}, {'a target' if task.per_position else 'no target'} for each position, and a vocabulary of "
            f"{task.vocabulary}."
        )
    (context,) = task.input_shape
    return builder(CausalLMConfig(vocabulary=task.vocabulary, classes=task.classes, context=context))


def _prefill(module: nn.Module, example: Tensor, tokens: int) -> Workload:
    """All of a prompt of so many tokens at once: the task's own, repeated."""
    times = -(-tokens // example.shape[1])
    return Workload(module=module, inputs=(example.repeat(1, times)[:, :tokens],))


def _decode(module: nn.Module, example: Tensor, tokens: int) -> Workload:
    """One more token after so many."""
    step = DecodeStep(module)
    batch = len(example)
    position_B = torch.full((batch,), tokens)
    return Workload(module=step, inputs=(example[:, 0], position_B, *step.start(batch, tokens)))


def _couplings(architecture: Architecture) -> tuple[Coupling, ...]:
    """Heads of softmax attention and hidden features of each layer, and the features that all layers share.

    The heads of linear attention decay each at its own rate, and those that see other spans do other things: they
    cannot be exchanged.
    """
    width = (
        Axis("embedding.weight", 1),
        *written("layers.*.norm.only.*", "norm.only.*"),
        *read("layers.*.query", "layers.*.key", "layers.*.value", "layers.*.gate", "layers.*.expand", "head"),
        *written("layers.*.output", "layers.*.contract"),
        *written("layers.*.short_convolution.body.gate", "layers.*.short_convolution.body.depthwise"),
        *read("layers.*.short_convolution.body.output"),
    )
    hidden = (*written("expand", "gate"), *read("contract"))
    heads = [one for index in range(int(architecture["depth"])) for one in _head_couplings(architecture, index)]
    return (
        *heads,
        Coupling("hidden features", hidden, at="layers.*.feed_forward.*.body", optional=True),
        Coupling("width", width, optional=True),
    )


def _head_couplings(architecture: Architecture, index: int) -> tuple[Coupling, ...]:
    """The heads of one layer that can be exchanged.

    Query head i reads K head i mod K and V head i mod V: heads with the same remainder by gcd(K, V) move together, and
    so do runs of lcm(K, V) query heads, which read every K and V head in the same order.
    """
    prefix = f"layers.{index}."
    answers = {n.removeprefix(prefix): value for n, value in architecture.items() if n.startswith(prefix)}
    if answers["mixer"] != "softmax" or answers.get("local_span", "same") != "same":
        return ()
    query, key, value = (int(answers[name]) for name in ("heads", "key_heads", "value_heads"))
    width, common, run = int(architecture["head_width"]), gcd(key, value), lcm(key, value)
    body = f"{prefix}mixer.softmax_{width}.body"
    remainders = (
        *written("query", block=width, parts=query // common),
        *read("output", block=width, parts=query // common),
        *written("key", block=width, parts=key // common),
        *written("value", block=width, parts=value // common),
    )
    runs = (*written("query", block=width * run), *read("output", block=width * run))
    return (
        Coupling("heads with their K and V heads", remainders, at=body),
        Coupling("query heads", runs, at=body),
    )


FAMILY = ModelFamily(
    name="causal_lm",
    builder=_for_task,
    latencies={"prefill_latency_ms": _prefill, "decode_latency_ms": _decode},
    costs={"kv_cache_bytes": state_bytes},
    example=Example(kind="tokens", shape=(40,), classes=17, vocabulary=17, per_position=True),
    couplings=_couplings,
    residual_layers=("layers",),
)
