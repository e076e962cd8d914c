"""A Hugging Face Llama that predicts the next token, searched: its depth, and for each layer its key/value heads, the
query heads for each of them, and its feed-forward width.

The model is the library's own class; only the layers are made one by one, each from a copy of the configuration with
sizes of its own.  It reads the task `text`.  docs/own_models.md explains it and lists the commands.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from search_spaces import Ordinal, SearchSpace, layered
from supernet.models.extension import own_model
from supernet.slicing import LEADING, Packed
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet.slicing import Region, Shape
    from supernet.tasks.task import Task

WIDTH = 48  # the library wants it to be a multiple of each number of query heads
HEAD_WIDTH = 8  # of every head, so that the first rows of a key or value projection are whole heads
DEPTHS, KEY_HEADS, QUERIES, FEED_FORWARDS = (1, 2, 3), (1, 2), (2, 3), (48, 96, 144)

# The space: what may vary

LAYERS = layered(
    {"key_heads": Ordinal(*KEY_HEADS), "queries": Ordinal(*QUERIES), "feed_forward": Ordinal(*FEED_FORWARDS)},
    layers=max(DEPTHS),
)
SPACE = SearchSpace({"depth": Ordinal(*DEPTHS), **LAYERS.choices}, conditions=LAYERS.conditions)

# Where a smaller tensor lies in a larger one, where that is not the leading slice

# By number of query heads.  A layout sees shapes only, so that each product must tell its factors.
KEY_HEADS_OF = {keys * queries: keys for keys in KEY_HEADS for queries in QUERIES}
assert len(KEY_HEADS_OF) == len(KEY_HEADS) * len(QUERIES)


@dataclass(frozen=True)
class QueryHeads:
    """Query heads along an axis: Llama keeps those together that read the same key head.

    A layer with two query heads for each key head has the first two of the three that each key head has in the largest
    layer.  Its leading rows would be others, trained to read another key head.
    """

    axis: int

    def regions(self, shared: Shape, subnet: Shape) -> tuple[Region, ...]:
        """One region for each key head of the subnet."""
        groups, most = (KEY_HEADS_OF[shape[self.axis] // HEAD_WIDTH] for shape in (subnet, shared))
        # The key heads that the subnet has are the first ones, and so are their query heads.
        first = list(shared)
        first[self.axis] = shared[self.axis] // most * groups
        layout = Packed(groups, self.axis) if groups > 1 else LEADING
        return layout.regions(tuple(first), subnet)


LAYOUTS = {"*.q_proj.weight": QueryHeads(axis=0), "*.o_proj.weight": QueryHeads(axis=1)}

# The model: what an architecture of that space is


class Decoder(nn.Module):
    """ids (batch, tokens) -> logits (batch, tokens, vocabulary) of the token that follows each."""

    def __init__(self, architecture: Architecture, task: Task) -> None:
        super().__init__()
        config = LlamaConfig(
            vocab_size=task.vocabulary,
            max_position_embeddings=task.input_shape[0],
            bos_token_id=None,
            eos_token_id=None,
            tie_word_embeddings=True,
            use_cache=False,
            hidden_size=WIDTH,
            num_attention_heads=max(KEY_HEADS) * max(QUERIES),
            num_key_value_heads=max(KEY_HEADS),
            head_dim=HEAD_WIDTH,
            num_hidden_layers=architecture["depth"],
            attn_implementation="sdpa",  # what can be exported with a free batch size
        )
        self.model = LlamaForCausalLM(config)
        for index in range(architecture["depth"]):
            own = copy.deepcopy(self.model.config)
            own.num_key_value_heads = architecture[f"layers.{index}.key_heads"]
            own.num_attention_heads = own.num_key_value_heads * architecture[f"layers.{index}.queries"]
            own.intermediate_size = architecture[f"layers.{index}.feed_forward"]
            self.model.model.layers[index] = LlamaDecoderLayer(own, index)
        self.model.init_weights()  # of the new layers, as the library does it

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(input_ids=ids).logits


FAMILY = own_model(
    "llama",
    space=SPACE,
    build=Decoder,
    layouts=LAYOUTS,
    example=Example(kind="tokens", shape=(64,), classes=256, vocabulary=256, per_position=True),
    summary="Hugging Face Llama: depth; key heads, queries of each and feed-forward width by layer",
)
