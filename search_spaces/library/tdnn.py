"""The time-delay network: how deep, how wide and how far each block reaches over time, which blocks are pooled, and how
wide the embedding is (EfficientTDNN, Wang et al. 2021).

Owns names and values.  What a block computes is in `supernet/models/tdnn.py`.  There is no choice of bits: the layers
are convolutions, and only linear maps are quantized.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.choice import Ordinal
from search_spaces.layers import layered
from search_spaces.options import Levels, Names, WholeNumbers
from search_spaces.registry import Family
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from search_spaces.choice import Choice

AGGREGATIONS = ("last", "all")  # cheapest first
KERNELS = (1, 3, 5, 7, 9, 11)  # odd: a smaller kernel is the middle of a larger one


def _build(
    *, depth: Choice, aggregation: Choice, pooled: Choice, embedding: Choice, width: Choice, kernel: Choice
) -> SearchSpace:
    deepest = depth.values[-1]
    assert isinstance(deepest, int)
    taps = Ordinal(*(value for value in kernel.values if isinstance(value, int)))
    layers = layered({"width": width, "kernel": taps}, layers=deepest)
    return SearchSpace(
        {"depth": depth, "aggregation": aggregation, "pooled": pooled, "embedding": embedding, **layers.choices},
        conditions=layers.conditions,
    )


FAMILY = Family(
    name="tdnn",
    summary="Time-delay network: depth, aggregation, pooled features and embedding; width and kernel by block",
    options=(
        WholeNumbers(name="depth", about="number of convolution blocks", default=(2, 3, 4), maximum=512),
        Names(
            name="aggregation",
            about="the blocks whose outputs are pooled",
            default=AGGREGATIONS,
            allowed=AGGREGATIONS,
        ),
        WholeNumbers(name="pooled", about="features whose statistics over time are taken", default=(64, 96)),
        WholeNumbers(name="embedding", about="features of the embedding", default=(32, 64)),
        WholeNumbers(name="width", about="features of a block's output", default=(32, 48, 64)),
        Levels(name="kernel", about="frames that a block's convolution reads", default=(1, 3, 5), allowed=KERNELS),
    ),
    build=_build,
)
