"""The vision transformer: how deep, how wide, how fine the patches, what each layer
mixes tokens with, and in how many bits its weights are stored.

Owns names and values.  What a layer computes is in `supernet/models/vision_transformer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.choice import Categorical
from search_spaces.compression import FULL_PRECISION, WEIGHT_BITS
from search_spaces.layers import layered
from search_spaces.options import Levels, Names, WholeNumbers
from search_spaces.registry import Family
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from search_spaces.choice import Choice

MIXERS = ("identity", "convolution", "windowed", "softmax")  # cheapest first
_WITH_HEADS = ("windowed", "softmax")
_WITH_WINDOW = ("windowed",)


def _build(
    *,
    depth: Choice,
    width: Choice,
    patch: Choice,
    mixer: Choice,
    heads: Choice,
    window: Choice,
    mlp_ratio: Choice,
    bits: Choice,
) -> SearchSpace:
    layer: dict[str, Choice] = {"mixer": mixer}
    when = {}
    for name, choice, mixers in (("heads", heads, _WITH_HEADS), ("window", window, _WITH_WINDOW)):
        offered = tuple(value for value in mixers if value in mixer.values)
        if offered:  # a space without attention has no heads to choose
            layer[name] = choice
            when[name] = {"mixer": offered}
    layer["mlp_ratio"] = mlp_ratio
    if bits.values != (FULL_PRECISION,):
        layer["bits"] = bits
    # A finer patch makes more tokens, so the smallest network has the coarsest: values go from small to large.
    finer = Categorical(*reversed(patch.values))
    deepest = depth.values[-1]
    assert isinstance(deepest, int)
    layers = layered(layer, layers=deepest, when=when)
    return SearchSpace({"depth": depth, "width": width, "patch": finer, **layers.choices}, conditions=layers.conditions)


FAMILY = Family(
    name="vision_transformer",
    summary="Vision transformer: depth, width and patch size; mixer, heads, window, MLP and bits by layer",
    options=(
        WholeNumbers(name="depth", about="number of layers", default=(2, 3, 4), maximum=512),
        WholeNumbers(name="width", about="features of a token", default=(32, 48, 64)),
        WholeNumbers(name="patch", about="side of a patch, in pixels", default=(2, 4)),
        Names(name="mixer", about="what moves information between tokens", default=MIXERS, allowed=MIXERS),
        WholeNumbers(name="heads", about="query heads of an attention mixer", default=(1, 2, 4)),
        WholeNumbers(name="window", about="side of an attention window, in tokens", default=(2,)),
        WholeNumbers(name="mlp_ratio", about="hidden features of the MLP over the width", default=(1, 2, 4)),
        Levels(name="bits", about="bits of a layer's stored weights", default=(8, FULL_PRECISION), allowed=WEIGHT_BITS),
    ),
    build=_build,
)
