"""The text encoder: how deep, how wide, how its tokens are pooled, what each layer mixes tokens with, and in how many
bits its weights are stored.

Owns names and values.  What a layer computes is in `supernet/models/text_encoder.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.choice import Categorical, Choice
from search_spaces.compression import FULL_PRECISION, WEIGHT_BITS
from search_spaces.constraint import Constraint
from search_spaces.errors import SpaceError
from search_spaces.layers import layered
from search_spaces.options import Levels, Names, WholeNumbers
from search_spaces.registry import Family
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces.values import Value

MIXERS = ("identity", "convolution", "sliding", "softmax")  # cheapest first
POOLINGS = ("first", "mean")
FREE = 0  # the total number of heads where nothing holds it fixed
_WITH_HEADS = ("sliding", "softmax")
_WITH_WINDOW = ("sliding",)
_DEPTH = (2, 3, 4)
_HEADS = (1, 2, 4)


def _build(
    *,
    depth: Choice,
    width: Choice,
    pooling: Choice,
    total_heads: Choice,
    mixer: Choice,
    heads: Choice,
    window: Choice,
    mlp_ratio: Choice,
    bits: Choice,
) -> SearchSpace:
    network: dict[str, Choice] = {"depth": depth, "width": width, "pooling": pooling}
    constraints: tuple[Constraint, ...] = ()
    fixed = total_heads.values != (FREE,)
    if fixed:
        mixer = _attending(mixer, total_heads, heads)
        network["total_heads"] = total_heads
        constraints = (Constraint(("depth", "total_heads"), _divides, "the depth divides the total number of heads"),)
    layer: dict[str, Choice] = {"mixer": mixer}
    when = {}
    for name, choice, mixers in (("heads", heads, _WITH_HEADS), ("window", window, _WITH_WINDOW)):
        offered = tuple(value for value in mixers if value in mixer.values)
        if offered and not (fixed and name == "heads"):
            layer[name] = choice
            when[name] = {"mixer": offered}
    layer["mlp_ratio"] = mlp_ratio
    if bits.values != (FULL_PRECISION,):
        layer["bits"] = bits
    deepest = depth.values[-1]
    assert isinstance(deepest, int)
    layers = layered(layer, layers=deepest, when=when)
    return SearchSpace({**network, **layers.choices}, conditions=layers.conditions, constraints=constraints)


def _attending(mixer: Choice, total_heads: Choice, heads: Choice) -> Choice:
    """The mixers of a space with a fixed total of heads.

    Every layer then attends, with total / depth heads, as in Wide Attention Is The Way Forward for Transformers?
    (Brown et al. 2022): the heads follow from two answers, so that the rule is one constraint over these two.  A sum
    over freely mixed layers would have to remember every layer's answer, and counting would grow exponentially with
    the depth; nor could a single answer change without another.

    The full list of mixers and the default list of heads express no wish; any other that does not fit is refused.
    """
    totals = ", ".join(map(str, total_heads.values))
    if FREE in total_heads.values:
        raise SpaceError(
            f"text_encoder: option 'total_heads' lists {totals}; 0 leaves the heads of each layer free and stands alone"
        )
    if heads.values != _HEADS:
        raise SpaceError(
            f"text_encoder: option 'heads' is {list(heads.values)} and 'total_heads' {totals}; each layer has "
            "total_heads / depth heads, so give one of the two"
        )
    attending = tuple(value for value in mixer.values if value in _WITH_HEADS)
    if mixer.values not in (MIXERS, attending):
        raise SpaceError(
            f"text_encoder: option 'total_heads' is {totals}, so that every layer attends; option 'mixer' takes some "
            f"of {', '.join(_WITH_HEADS)} with it, got {list(mixer.values)}"
        )
    return Categorical(*attending)


def _divides(answers: Mapping[str, Value]) -> bool:
    return int(answers["total_heads"]) % int(answers["depth"]) == 0


FAMILY = Family(
    name="text_encoder",
    summary="Text classifier: depth, width and pooling; mixer, heads, window, MLP and bits by layer",
    options=(
        WholeNumbers(name="depth", about="number of layers", default=_DEPTH, maximum=512),
        WholeNumbers(name="width", about="features of a token", default=(32, 48, 64)),
        Names(name="pooling", about="the token or the mean that is classified", default=("mean",), allowed=POOLINGS),
        WholeNumbers(
            name="total_heads",
            about="heads over all layers: every layer attends with total_heads / depth; 0 leaves heads free",
            default=(FREE,),
            minimum=FREE,
        ),
        Names(name="mixer", about="what moves information between tokens", default=MIXERS, allowed=MIXERS),
        WholeNumbers(name="heads", about="query heads of an attention mixer", default=_HEADS),
        WholeNumbers(name="window", about="tokens that sliding attention sees on each side", default=(4, 16)),
        WholeNumbers(name="mlp_ratio", about="hidden features of the MLP over the width", default=(1, 2, 4)),
        Levels(name="bits", about="bits of a layer's stored weights", default=(8, FULL_PRECISION), allowed=WEIGHT_BITS),
    ),
    build=_build,
)
