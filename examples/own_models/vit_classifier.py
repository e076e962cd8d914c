"""A Hugging Face ViT, searched: its depth, its weights' bits, and for each layer its heads and feed-forward width.

The model is the library's own class; only the layers are made one by one, each from a copy of the configuration with
sizes of its own.  It reads tasks of images.  docs/own_models.md explains it and lists the commands.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification
from transformers.models.vit.modeling_vit import ViTLayer

from search_spaces import Ordinal, SearchSpace, layered
from supernet.models.extension import own_model
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet.tasks.task import Task

WIDTH, PATCH = 48, 2
HEAD_WIDTH = 12  # of every head, so that the first rows of a projection are whole heads
DEPTHS, HEADS, FEED_FORWARDS = (1, 2, 3), (1, 2, 4), (48, 96, 192)
BITS = (8, 32)  # a choice of this name stores the weights of all linear maps (nn.Linear) in so many bits

# The space: what may vary

LAYERS = layered({"heads": Ordinal(*HEADS), "feed_forward": Ordinal(*FEED_FORWARDS)}, layers=max(DEPTHS))
SPACE = SearchSpace({"bits": Ordinal(*BITS), "depth": Ordinal(*DEPTHS), **LAYERS.choices}, conditions=LAYERS.conditions)

# The model: what an architecture of that space is


class ImageClassifier(nn.Module):
    """images (batch, channels, height, width) -> logits (batch, classes)."""

    def __init__(self, architecture: Architecture, task: Task) -> None:
        super().__init__()
        channels, height, width = task.input_shape
        config = ViTConfig(
            image_size=(height, width),
            patch_size=PATCH,
            num_channels=channels,
            num_labels=task.classes,
            hidden_size=WIDTH,
            num_attention_heads=WIDTH // HEAD_WIDTH,
            head_dim=HEAD_WIDTH,  # read by the attention where it is given
            num_hidden_layers=architecture["depth"],
            attn_implementation="sdpa",  # what can be exported with a free batch size
        )
        self.model = ViTForImageClassification(config)
        for index in range(architecture["depth"]):
            own = copy.deepcopy(self.model.config)
            own.num_attention_heads = architecture[f"layers.{index}.heads"]
            own.intermediate_size = architecture[f"layers.{index}.feed_forward"]
            self.model.vit.layers[index] = ViTLayer(own)
        self.model.init_weights()  # of the new layers, as the library does it

    def forward(self, images: Tensor) -> Tensor:
        return self.model(pixel_values=images).logits


FAMILY = own_model(
    "vit",
    space=SPACE,
    build=ImageClassifier,
    example=Example(kind="image", shape=(1, 8, 8), classes=10),
    summary="Hugging Face ViT: depth and bits; heads and feed-forward width by layer",
)
