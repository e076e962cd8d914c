"""A Hugging Face BERT that classifies texts, searched: its depth, and for each layer its heads and feed-forward width.

The model is the library's own class; only the layers are made one by one, each from a copy of the configuration with
sizes of its own.  It reads the task `labelled_text`.  docs/own_models.md explains it and lists the commands.
"""

# B batch, T tokens

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification
from transformers.models.bert.modeling_bert import BertLayer

from search_spaces import Ordinal, SearchSpace, layered
from supernet.models.extension import own_model
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet.tasks.task import Task

WIDTH = 48
HEAD_WIDTH = 12  # of every head, so that the first rows of a projection are whole heads
DEPTHS, HEADS, FEED_FORWARDS = (1, 2, 3), (1, 2, 4), (48, 96, 192)

# The space: what may vary

LAYERS = layered({"heads": Ordinal(*HEADS), "feed_forward": Ordinal(*FEED_FORWARDS)}, layers=max(DEPTHS))
SPACE = SearchSpace({"depth": Ordinal(*DEPTHS), **LAYERS.choices}, conditions=LAYERS.conditions)

# The model: what an architecture of that space is


class TextClassifier(nn.Module):
    """ids_BT, 0 where a text has ended -> logits (batch, classes)."""

    def __init__(self, architecture: Architecture, task: Task) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=task.vocabulary,
            max_position_embeddings=task.input_shape[0],
            num_labels=task.classes,
            type_vocab_size=1,
            pad_token_id=0,
            hidden_size=WIDTH,
            num_attention_heads=WIDTH // HEAD_WIDTH,
            num_hidden_layers=architecture["depth"],
            attn_implementation="sdpa",  # what can be exported with a free batch size
        )
        self.model = BertForSequenceClassification(config)
        for index in range(architecture["depth"]):
            heads, feed_forward = (architecture[f"layers.{index}.{name}"] for name in ("heads", "feed_forward"))
            self.model.bert.encoder.layer[index] = make_layer(self.model.config, index, heads, feed_forward)
        self.model.init_weights()  # of the new layers, as the library does it

    def forward(self, ids_BT: Tensor) -> Tensor:
        return self.model(input_ids=ids_BT, attention_mask=(ids_BT != 0).long()).logits


def make_layer(config: BertConfig, index: int, heads: int, feed_forward: int) -> BertLayer:
    """One layer with fewer heads of the same width, which BERT's configuration cannot say: it divides the width."""
    own = copy.deepcopy(config)
    own.intermediate_size = feed_forward
    layer = BertLayer(own, layer_idx=index)
    attention, rows = layer.attention.self, heads * HEAD_WIDTH
    attention.num_attention_heads, attention.all_head_size = heads, rows
    attention.query, attention.key, attention.value = (nn.Linear(WIDTH, rows) for _ in range(3))
    layer.attention.output.dense = nn.Linear(rows, WIDTH)
    return layer


FAMILY = own_model(
    "bert",
    space=SPACE,
    build=TextClassifier,
    example=Example(kind="tokens", shape=(64,), classes=2, vocabulary=257),
    summary="Hugging Face BERT: depth; heads and feed-forward width by layer",
)
