"""The causal language model: how deep, how wide, and by layer what mixes tokens, with how many query, K and V heads
that see how far, the feed-forward network, and in how many bits weights are stored.

Owns names and values.  What a layer computes is in `supernet/models/causal_lm.py`.

A span is a number of tokens that a query head sees, its own included, or "full".  Query heads form two groups: heads 0,
2, 4 see `span` tokens; heads 1, 3, 5 see `local_span`, which is less, or "same".

There are no layers of 8 bits: they round their inputs with one range for a whole sequence, so that later tokens would
move what is said of earlier ones, and token by token something else would be computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_spaces.choice import Categorical, Ordinal
from search_spaces.compression import FULL_PRECISION
from search_spaces.constraint import Constraint
from search_spaces.errors import SpaceError
from search_spaces.layers import layer_name, layered
from search_spaces.options import Levels, Names, Option, WholeNumbers
from search_spaces.registry import Family
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces.choice import Choice
    from search_spaces.constraint import Holds
    from search_spaces.values import Value

BITS = (4, FULL_PRECISION)
MIXERS = ("identity", "short_convolution", "linear", "softmax")  # cheapest first, for long texts
FEED_FORWARDS = ("plain", "gated")
POSITIONS = ("none", "rotary")
NORMS = ("rms", "layer")
FULL = "full"
SAME = "same"
SHORTEST_SPAN = 2  # tokens; one is no attention


@dataclass(frozen=True, kw_only=True)
class Spans(Option):
    """Numbers of tokens, and one word that stands for more than all of them."""

    word: str

    def _choice(self, values: tuple[object, ...]) -> Choice:
        for value in values:
            if value != self.word and (type(value) is not int or value < SHORTEST_SPAN):
                raise SpaceError(
                    f"option {self.name!r} takes whole numbers of at least {SHORTEST_SPAN} and {self.word!r}, "
                    f"got {value!r}"
                )
        word = (self.word,) if self.word in values else ()
        return Categorical(*sorted(value for value in values if type(value) is int), *word)


def _build(
    *,
    depth: Choice,
    width: Choice,
    head_width: Choice,
    norm: Choice,
    positions: Choice,
    mixer: Choice,
    heads: Choice,
    key_heads: Choice,
    value_heads: Choice,
    span: Choice,
    local_span: Choice,
    mlp_ratio: Choice,
    feed_forward: Choice,
    bits: Choice,
) -> SearchSpace:
    layer: dict[str, Choice] = {"mixer": mixer}
    when: dict[str, dict[str, tuple[Value, ...]]] = {}
    with_heads = tuple(name for name in ("linear", "softmax") if name in mixer.values)
    attention: dict[str, tuple[Value, ...]] = {"mixer": ("softmax",)}
    if with_heads:
        layer["heads"], when["heads"] = heads, {"mixer": with_heads}
    if "softmax" in mixer.values:
        layer["key_heads"] = _dividing("key_heads", key_heads, heads)
        layer["value_heads"] = _dividing("value_heads", value_heads, heads)
        when |= {"key_heads": attention, "value_heads": attention}
        if span.values != (FULL,):
            layer["span"], when["span"] = span, attention
        several = tuple(count for count in heads.values if count != 1)  # a single head has no second group
        if local_span.values != (SAME,) and several:
            layer["local_span"], when["local_span"] = local_span, {**attention, "heads": several}
    layer["mlp_ratio"] = mlp_ratio
    present = tuple(ratio for ratio in mlp_ratio.values if ratio != 0)
    if present:
        layer["feed_forward"], when["feed_forward"] = feed_forward, {"mlp_ratio": present}
    if bits.values != (FULL_PRECISION,):
        layer["bits"] = bits
    deepest = depth.values[-1]
    assert isinstance(deepest, int)
    layers = layered(layer, layers=deepest, when=when)
    above = {"depth": depth, "width": width, "head_width": head_width, "norm": norm, "positions": positions}
    constraints = [rule for index in range(deepest) for rule in _constraints(layer, index)]
    return SearchSpace({**above, **layers.choices}, conditions=layers.conditions, constraints=constraints)


def _dividing(name: str, counts: Choice, heads: Choice) -> Choice:
    """The counts that divide some number of query heads: the defaults are more than most studies need."""
    useful = [
        n for n in counts.values for h in heads.values if isinstance(n, int) and isinstance(h, int) and h % n == 0
    ]
    for many in heads.values:
        if not any(isinstance(many, int) and many % n == 0 for n in useful):
            raise SpaceError(
                f"causal_lm: none of the values of option {name!r} ({', '.join(map(str, counts.values))}) divides "
                f"{many} query heads; add a divisor of {many}, or change the option 'heads'"
            )
    return Ordinal(*dict.fromkeys(useful))


def _constraints(layer: Mapping[str, Choice], index: int) -> list[Constraint]:
    """What must hold within a layer.  Each reads a few choices that stand together."""

    def names(*wanted: str) -> tuple[str, ...]:
        return tuple(layer_name(index, name) for name in wanted)

    rules = []
    for kind in ("key_heads", "value_heads"):
        if kind in layer:
            few, many = names(kind, "heads")
            rules.append(Constraint((many, few), _divides(few, many), f"{few} divides {many}"))
    if "local_span" in layer and "span" in layer:
        far, near = names("span", "local_span")
        rules.append(Constraint((far, near), _nearer(near, far), f"{near} is less than {far}, or 'same'"))
    mixer, ratio = names("mixer", "mlp_ratio")
    if "identity" in layer["mixer"].values and 0 in layer["mlp_ratio"].values:
        rules.append(
            Constraint((mixer, ratio), _something(mixer, ratio), f"{mixer} is not identity where {ratio} is 0")
        )
    return rules


def _divides(few: str, many: str) -> Holds:
    def holds(answers: Mapping[str, Value]) -> bool:
        return few not in answers or int(answers[many]) % int(answers[few]) == 0

    return holds


def _nearer(near: str, far: str) -> Holds:
    def holds(answers: Mapping[str, Value]) -> bool:
        if near not in answers or answers[near] == SAME or answers[far] == FULL:
            return True
        return int(answers[near]) < int(answers[far])

    return holds


def _something(mixer: str, ratio: str) -> Holds:
    def holds(answers: Mapping[str, Value]) -> bool:
        return not (answers.get(mixer) == "identity" and answers.get(ratio) == 0)

    return holds


FAMILY = Family(
    name="causal_lm",
    summary="Causal language model: depth and width; mixer, query, K and V heads, spans, MLP and bits by layer",
    options=(
        WholeNumbers(name="depth", about="number of layers", default=(2, 3, 4), maximum=512),
        WholeNumbers(name="width", about="features of a token", default=(48, 64, 96)),
        WholeNumbers(
            name="head_width", about="features of a head, even; those of different widths share nothing", default=(16,)
        ),
        Names(name="norm", about="what normalises a token before each branch", default=("rms",), allowed=NORMS),
        Names(name="positions", about="how softmax attention sees positions", default=("rotary",), allowed=POSITIONS),
        Names(name="mixer", about="what moves information between tokens", default=MIXERS, allowed=MIXERS),
        WholeNumbers(name="heads", about="query heads of softmax attention, heads of linear", default=(1, 2, 4)),
        WholeNumbers(
            name="key_heads", about="K heads of softmax attention; those that divide heads", default=(1, 2, 4)
        ),
        WholeNumbers(
            name="value_heads", about="V heads of softmax attention; those that divide heads", default=(1, 2, 4)
        ),
        Spans(name="span", about="tokens that heads 0, 2, 4 of softmax attention see", default=(32, FULL), word=FULL),
        Spans(
            name="local_span",
            about="tokens that heads 1, 3, 5 see, less than span or the same",
            default=(32, SAME),
            word=SAME,
        ),
        WholeNumbers(
            name="mlp_ratio",
            about="hidden features of the MLP over the width, 0 for none",
            default=(1, 2, 4),
            minimum=0,
        ),
        Names(name="feed_forward", about="whether the MLP is gated", default=FEED_FORWARDS, allowed=FEED_FORWARDS),
        Levels(name="bits", about="bits of a layer's stored weights", default=BITS, allowed=BITS),
    ),
    build=_build,
)
