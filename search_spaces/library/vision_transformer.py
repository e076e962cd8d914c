"""The vision transformer: how deep, how wide, how fine the patches, what each layer mixes tokens with, and in how
many bits its weights are stored; flat, or in stages that each halve the grid of tokens.

Owns names and values.  What a layer computes is in `supernet/models/vision_transformer.py`.  A flat network is one
stage whose choices carry no prefix; in a space with stages they begin with `stages.<s>.`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from search_spaces.choice import Categorical, Ordinal
from search_spaces.compression import FULL_PRECISION, WEIGHT_BITS
from search_spaces.constraint import Condition, Constraint
from search_spaces.errors import SpaceError
from search_spaces.layers import LayerChoices, layer_name, layered
from search_spaces.options import Levels, Names, WholeNumbers
from search_spaces.registry import Family
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from search_spaces.choice import Choice
    from search_spaces.values import Value

NAME = "vision_transformer"
MIXERS = ("identity", "convolution", "windowed", "softmax")  # cheapest first
POOLINGS = ("mean", "token")
BLOCKS = ("transformer", "convolution", "moat")
_WITH_HEADS = ("windowed", "softmax")
_WITH_WINDOW = ("windowed",)
_WITH_MIXER = ("transformer", "moat")
_SEES_ALL = "softmax"  # the one mixer through which a class token sees the other tokens
_FLAT = (1,)


def _build(
    *,
    patch: Choice,
    pooling: Choice,
    stages: Choice,
    growth: Choice,
    depth: Choice,
    width: Choice,
    block: Choice,
    **by_layer: Choice,
) -> SearchSpace:
    _check_attention(pooling, block, by_layer["mixer"])
    # A finer patch makes more tokens, so the smallest network has the coarsest: values go from small to large.
    whole: dict[str, Choice] = {"patch": Categorical(*reversed(patch.values))}
    if pooling.values != ("mean",):
        whole["pooling"] = pooling
    blocks = {} if block.values == ("transformer",) else {"block": block}
    layers = _layers(depth, block, by_layer)
    if stages.values == _FLAT:
        return SearchSpace(
            {"depth": depth, "width": width, **whole, **blocks, **layers.choices},
            conditions=layers.conditions,
            constraints=_rules("", 1, depth, whole | blocks | layers.choices),
        )
    return _staged(whole | {"stages": stages}, _widths(stages, width, growth), {"depth": depth, **blocks}, layers)


def _staged(
    whole: Mapping[str, Choice], widths: Sequence[Sequence[int]], of_stage: Mapping[str, Choice], layers: LayerChoices
) -> SearchSpace:
    """A space of several stages: `widths` are those of each, `of_stage` and `layers` the same in all."""
    offered = _numbers(whole["stages"])
    choices = dict(whole)
    conditions: dict[str, tuple[Condition, ...]] = {}
    constraints: list[Constraint] = []
    for stage, numbers in enumerate(widths):
        prefix = f"stages.{stage}."
        own = {"width": Ordinal(*numbers), **of_stage}
        choices |= {prefix + name: choice for name, choice in {**own, **layers.choices}.items()}
        conditions |= {prefix + name: _moved(listed, prefix) for name, listed in layers.conditions.items()}
        if stage >= offered[0]:  # its layers exist where its depth does
            exists = Condition("stages", tuple(range(stage + 1, len(widths) + 1)))
            conditions |= {prefix + name: (exists,) for name in own}
        constraints += _rules(prefix, stage + 1, of_stage["depth"], choices)
        if stage and numbers[0] < widths[stage - 1][-1]:
            before, here = f"stages.{stage - 1}.width", f"{prefix}width"
            constraints.append(
                Constraint((before, here), partial(_widens, before, here), f"{here} is at least {before}")
            )
    return SearchSpace(choices, conditions=conditions, constraints=constraints)


def _widths(stages: Choice, width: Choice, growth: Choice) -> list[list[int]]:
    """The widths that each stage may have."""
    found = [_numbers(width)]
    while len(found) < _numbers(stages)[-1]:
        found.append(sorted({number * factor for number in found[-1] for factor in _numbers(growth)}))
    return found


def _layers(depth: Choice, block: Choice, by_layer: Mapping[str, Choice]) -> LayerChoices:
    """The choices of each layer of one stage."""
    mixer, bits = by_layer["mixer"], by_layer["bits"]
    layer: dict[str, Choice] = {}
    when = {}
    with_mixer = tuple(value for value in _WITH_MIXER if value in block.values)
    if with_mixer:
        layer["mixer"] = mixer
        for name, mixers in (("heads", _WITH_HEADS), ("window", _WITH_WINDOW)):
            offered = tuple(value for value in mixers if value in mixer.values)
            if offered:  # a space without attention has no heads to choose
                layer[name] = by_layer[name]
                when[name] = {"mixer": offered}
    layer["mlp_ratio"] = by_layer["mlp_ratio"]
    if bits.values != (FULL_PRECISION,):
        layer["bits"] = bits
    made = layered(layer, layers=_numbers(depth)[-1], when=when)
    if with_mixer and with_mixer != block.values:
        for name in made.choices:
            if name.endswith(".mixer"):
                made.conditions[name] += (Condition("block", with_mixer),)
    return made


def _moved(conditions: tuple[Condition, ...], prefix: str) -> tuple[Condition, ...]:
    return tuple(Condition(prefix + condition.choice, condition.values) for condition in conditions)


def _numbers(choice: Choice) -> list[int]:
    return [value for value in choice.values if isinstance(value, int)]


# Rules between choices


def _check_attention(pooling: Choice, block: Choice, mixer: Choice) -> None:
    """Refuse what no architecture could have."""
    mixers = mixer.values if set(block.values) & set(_WITH_MIXER) else ()
    if "token" in pooling.values and _SEES_ALL not in mixers:
        raise SpaceError(
            f"{NAME}: pooling 'token' needs the mixer {_SEES_ALL!r}, through which alone a class token sees the image; "
            f"offer that mixer (in a block of {' or '.join(map(repr, _WITH_MIXER))}), or pool by 'mean'"
        )
    if "moat" in block.values and not set(mixers) & set(_WITH_HEADS):
        raise SpaceError(
            f"{NAME}: block 'moat' needs an attention mixer; offer {' or '.join(map(repr, _WITH_HEADS))}, "
            "or the block 'convolution'"
        )


def _rules(prefix: str, stages: int, depth: Choice, choices: Mapping[str, Choice]) -> list[Constraint]:
    """What holds between the choices of one stage, the last one of so many; `choices` are those made so far."""
    block, depth_name = f"{prefix}block", f"{prefix}depth"
    can_be_last = "stages" not in choices or choices["stages"].index(stages) is not None
    found: list[Constraint] = []
    for layer in range(_numbers(depth)[-1]):
        mixer = prefix + layer_name(layer, "mixer")
        offered = set(choices[mixer].values) if mixer in choices else set()
        if block in choices and "moat" in choices[block].values and not offered <= set(_WITH_HEADS):
            # Without attention it would be a layer of the block "convolution" under another name.
            attends = partial(_attends, block, mixer)
            found.append(Constraint((block, mixer), attends, f"{mixer} is an attention where {block} is moat"))
        if "pooling" in choices and can_be_last and (offered != {_SEES_ALL} or block in choices):
            read = tuple(name for name in ("pooling", "stages", block) if name in choices)
            sees = partial(_token_sees, stages, depth_name, layer + 1, mixer)
            message = f"{mixer} is {_SEES_ALL} where it is the last layer and pooling is token"
            found.append(Constraint((*read, depth_name, mixer), sees, message))
    return found


def _attends(block: str, mixer: str, answers: Mapping[str, Value]) -> bool:
    return answers.get(block) != "moat" or answers.get(mixer, _SEES_ALL) in _WITH_HEADS


def _token_sees(stages: int, depth_name: str, depth: int, mixer: str, answers: Mapping[str, Value]) -> bool:
    """What layers compute after the last full attention, a class token never sees: it must be the last layer."""
    last = answers.get("stages", 1) == stages and answers.get(depth_name) == depth
    return not last or answers.get("pooling") != "token" or answers.get(mixer) == _SEES_ALL


def _widens(one: str, next_one: str, answers: Mapping[str, Value]) -> bool:
    return next_one not in answers or float(answers[next_one]) >= float(answers[one])


FAMILY = Family(
    name=NAME,
    summary="Vision transformer, flat or in stages: depth, width and patch size; mixer, heads, window, MLP and bits by "
    "layer",
    options=(
        WholeNumbers(name="depth", about="number of layers, of each stage", default=(2, 3, 4), maximum=512),
        WholeNumbers(name="width", about="features of a token, in the first stage", default=(32, 48, 64)),
        WholeNumbers(name="patch", about="side of a patch, in pixels", default=(2, 4)),
        Names(name="mixer", about="what moves information between tokens", default=MIXERS, allowed=MIXERS),
        WholeNumbers(name="heads", about="query heads of an attention mixer", default=(1, 2, 4)),
        WholeNumbers(name="window", about="side of an attention window, in tokens", default=(2,)),
        WholeNumbers(
            name="mlp_ratio", about="hidden features of an MLP or convolution block over the width", default=(1, 2, 4)
        ),
        Levels(name="bits", about="bits of a layer's stored weights", default=(8, FULL_PRECISION), allowed=WEIGHT_BITS),
        Names(
            name="pooling",
            about="what the classes are read from: mean (of all tokens) or token (a class token)",
            default=("mean",),
            allowed=POOLINGS,
        ),
        WholeNumbers(
            name="stages", about="number of stages; between them the grid of tokens is halved", default=_FLAT, maximum=4
        ),
        WholeNumbers(name="growth", about="widths of a stage over those of the stage before", default=(2,)),
        Names(
            name="block",
            about="a layer: transformer (mixer, MLP), convolution (inverted residual), moat (that, then attention)",
            default=("transformer",),
            allowed=BLOCKS,
        ),
    ),
    build=_build,
)
