"""The five examples, each with a task, a uniform model of full size, and what a subnet reads of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)

from examples.own_models import bert_classifier, depthwise_cnn, llama_decoder, lstm_tagger, vit_classifier
from search_spaces import Architecture, SearchSpace
from supernet import SharedWeights
from supernet.tasks.example import Example
from supernet.tasks.task import PADDING, Task

if TYPE_CHECKING:
    from supernet.models.extension import FamilyExtension
    from supernet.skeleton import Build
    from tests.own_models.silenced import Kept

TOKENS = 12


@dataclass(frozen=True, kw_only=True)
class OwnModel:
    """`full(depth)` is the uniform model with that many layers; `kept(architecture)` what a subnet reads of it."""

    family: FamilyExtension
    task: Task
    full: Callable[[int], nn.Module]
    kept: Callable[[Architecture], Kept]

    @property
    def space(self) -> SearchSpace:
        """Up to two layers, which is less to build."""
        return self.family.space.space({"depth": [1, 2]})

    @property
    def build(self) -> Build:
        return self.family.model.builder(self.task)

    def weights(self) -> SharedWeights:
        return SharedWeights(self.build, self.space, layouts=self.family.model.layouts)


class Called(nn.Module):
    """One of the library's models under the name that the examples give it."""

    def __init__(self, model: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, inputs: Tensor) -> Tensor:
        return self.call(self.model, inputs)


def _layers(architecture: Architecture, *names: str) -> list[tuple[int, ...]]:
    return [
        tuple(int(architecture[f"layers.{index}.{name}"]) for name in names)
        for index in range(int(architecture["depth"]))
    ]


# BERT


def _texts() -> Task:
    task = Example(kind="tokens", shape=(TOKENS,), classes=3, vocabulary=257)()
    task.train.inputs[0, 5:] = PADDING
    return task


def _bert(depth: int) -> nn.Module:
    config = BertConfig(
        vocab_size=257,
        max_position_embeddings=TOKENS,
        num_labels=3,
        type_vocab_size=1,
        hidden_size=bert_classifier.WIDTH,
        num_attention_heads=4,
        intermediate_size=192,
        num_hidden_layers=depth,
        attn_implementation="sdpa",
    )
    return Called(BertForSequenceClassification(config), lambda model, ids: model(ids, attention_mask=ids != 0).logits)


def _of_bert(architecture: Architecture) -> Kept:
    kept = {}
    for index, (heads, feed_forward) in enumerate(_layers(architecture, "heads", "feed_forward")):
        layer = f"model.bert.encoder.layer.{index}"
        kept[f"{layer}.attention.output.dense.weight"] = [(1, range(12 * heads))]
        kept[f"{layer}.output.dense.weight"] = [(1, range(feed_forward))]
    return kept


# ViT


def _vit(depth: int) -> nn.Module:
    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        num_labels=10,
        hidden_size=vit_classifier.WIDTH,
        num_attention_heads=4,
        intermediate_size=192,
        num_hidden_layers=depth,
        attn_implementation="sdpa",
    )
    return Called(ViTForImageClassification(config), lambda model, images: model(images).logits)


def _of_vit(architecture: Architecture) -> Kept:
    kept = {}
    for index, (heads, feed_forward) in enumerate(_layers(architecture, "heads", "feed_forward")):
        layer = f"model.vit.layers.{index}"
        kept[f"{layer}.attention.o_proj.weight"] = [(1, range(12 * heads))]
        kept[f"{layer}.mlp.fc2.weight"] = [(1, range(feed_forward))]
    return kept


# Llama


def _llama(depth: int) -> nn.Module:
    config = LlamaConfig(
        vocab_size=256,
        max_position_embeddings=TOKENS,
        tie_word_embeddings=True,
        hidden_size=llama_decoder.WIDTH,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=144,
        num_hidden_layers=depth,
        attn_implementation="sdpa",
    )
    return Called(LlamaForCausalLM(config), lambda model, ids: model(ids).logits)


def _of_llama(architecture: Architecture) -> Kept:
    """Query head 3k + q is the q-th that reads key head k: what its o_proj columns say."""
    kept = {}
    for index, (keys, queries, feed_forward) in enumerate(
        _layers(architecture, "key_heads", "queries", "feed_forward")
    ):
        heads = [3 * key + query for key in range(keys) for query in range(queries)]
        columns = [8 * head + column for head in heads for column in range(8)]
        kept[f"model.model.layers.{index}.self_attn.o_proj.weight"] = [(1, columns)]
        kept[f"model.model.layers.{index}.mlp.down_proj.weight"] = [(1, range(feed_forward))]
    return kept


# CNN


def _cnn(depth: int) -> nn.Module:
    answers = {f"layers.{i}.{name}": value for i in range(depth) for name, value in (("kernel", 5), ("expansion", 3))}
    return depthwise_cnn.DepthwiseCNN(Architecture({"width": 16, "depth": depth, **answers}), IMAGES)


def _of_cnn(architecture: Architecture) -> Kept:
    width = int(architecture["width"])
    kept: dict[str, list[tuple[int, range]]] = {"head.weight": [(1, range(width))]}
    for index, (kernel, expansion) in enumerate(_layers(architecture, "kernel", "expansion")):
        centre = {3: range(1, 4), 5: range(5)}[kernel]
        kept[f"layers.{index}.expand.weight"] = [(1, range(width))]
        kept[f"layers.{index}.depthwise.weight"] = [(2, centre), (3, centre)]
        kept[f"layers.{index}.project.weight"] = [(1, range(width * expansion))]
    return kept


# LSTM


def _lstm(depth: int) -> nn.Module:
    answers = {f"layers.{index}.hidden": 16 for index in range(depth)}
    return lstm_tagger.Tagger(Architecture({"embedding": 16, "depth": depth, **answers}), CHARACTERS)


def _of_lstm(architecture: Architecture) -> Kept:
    """Forward units stand before backward ones: 16 of each."""
    kept = {}
    below: list[int] = list(range(int(architecture["embedding"])))
    for index, (hidden,) in enumerate(_layers(architecture, "hidden")):
        for direction in ("", "_reverse"):
            kept[f"layers.{index}.weight_ih_l0{direction}"] = [(1, below)]
            kept[f"layers.{index}.weight_hh_l0{direction}"] = [(1, list(range(hidden)))]
        below = [*range(hidden), *range(16, 16 + hidden)]
    return {**kept, "head.weight": [(1, below)]}


IMAGES = Example(kind="image", shape=(1, 8, 8), classes=10)()
BYTES = Example(kind="tokens", shape=(TOKENS,), classes=256, vocabulary=256, per_position=True)()
CHARACTERS = Example(kind="tokens", shape=(TOKENS,), classes=6, vocabulary=128, per_position=True)()

MODELS = {
    "bert": OwnModel(family=bert_classifier.FAMILY, task=_texts(), full=_bert, kept=_of_bert),
    "vit": OwnModel(family=vit_classifier.FAMILY, task=IMAGES, full=_vit, kept=_of_vit),
    "llama": OwnModel(family=llama_decoder.FAMILY, task=BYTES, full=_llama, kept=_of_llama),
    "cnn": OwnModel(family=depthwise_cnn.FAMILY, task=IMAGES, full=_cnn, kept=_of_cnn),
    "lstm": OwnModel(family=lstm_tagger.FAMILY, task=CHARACTERS, full=_lstm, kept=_of_lstm),
}
