"""Choices that repeat in every layer and are active only in the layers that exist.  Owns their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from search_spaces.constraint import Condition
from search_spaces.errors import SpaceError

if TYPE_CHECKING:
    from search_spaces.choice import Choice
    from search_spaces.values import Value

When = Mapping[str, Sequence["Value"]]


class LayerChoices(NamedTuple):
    """What `SearchSpace` needs to know: `SearchSpace({"depth": ..., **choices}, conditions=conditions)`."""

    choices: dict[str, Choice]
    conditions: dict[str, tuple[Condition, ...]]


def layer_name(layer: int, name: str) -> str:
    """The name of a layer's choice: layers.0.mixer for the mixer of the first layer."""
    return f"layers.{layer}.{name}"


def per_layer(
    name: str, choice: Choice, *, depth: str | None = "depth", layers: int, when: When | None = None
) -> LayerChoices:
    """One choice in each of `layers` layers; see `layered` for several that depend on each other."""
    return layered({name: choice}, depth=depth, layers=layers, when={name: when} if when else None)


def layered(
    choices: Mapping[str, Choice],
    *,
    depth: str | None = "depth",
    layers: int,
    when: Mapping[str, When] | None = None,
) -> LayerChoices:
    """Several choices in each layer, listed layer by layer.

    Layer i exists where the answer to the choice named `depth` is above i (always, if `depth` is None).
    `when={"heads": {"mixer": ("softmax",)}}` makes heads active only under those answers of the same layer.
    Keeping a layer's choices together keeps counting cheap: what a layer decided is forgotten after it.
    """
    if type(layers) is not int or layers < 1:
        raise SpaceError(f"layers must be a whole number of at least 1, got {layers!r}")
    rules = when or {}
    for name in rules:
        if name not in choices:
            raise SpaceError(f"when: {name!r} is none of the layer's choices: {', '.join(choices)}")
    made: dict[str, Choice] = {}
    conditions: dict[str, tuple[Condition, ...]] = {}
    for layer in range(layers):
        exists = () if depth is None else (Condition(depth, tuple(range(layer + 1, layers + 1))),)
        for name, choice in choices.items():
            full_name = layer_name(layer, name)
            made[full_name] = choice
            conditions[full_name] = exists + tuple(
                Condition(layer_name(layer, other), tuple(values)) for other, values in rules.get(name, {}).items()
            )
    return LayerChoices(made, conditions)
