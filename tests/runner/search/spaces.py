"""A small space with conditions and a constraint, and metrics on it, shared by the tests of the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces import Categorical, Condition, Constraint, Ordinal, SearchSpace

if TYPE_CHECKING:
    from search_spaces import Architecture

_GAIN = {"identity": 0.0, "conv": 0.6, "softmax": 1.0}
_PRICE = {"identity": 0.0, "conv": 1.0, "softmax": 3.0}


def layered_space(layers: int = 4) -> SearchSpace:
    """Layers that exist by depth, with heads where there is attention, and one rule between choices."""
    choices = {"depth": Ordinal(*range(1, layers + 1)), "width": Ordinal(8, 16, 32)}
    conditions = {}
    for layer in range(layers):
        exists = Condition("depth", tuple(range(layer + 1, layers + 1)))
        choices[f"layers.{layer}.mixer"] = Categorical(*_GAIN)
        choices[f"layers.{layer}.heads"] = Ordinal(1, 2, 4)
        conditions[f"layers.{layer}.mixer"] = [exists]
        conditions[f"layers.{layer}.heads"] = [Condition(f"layers.{layer}.mixer", ("softmax",))]
    rule = Constraint(
        ("width", "layers.0.heads"),
        lambda answers: answers["width"] // answers.get("layers.0.heads", 1) >= 4,
        "each head of the first layer needs a width of 4",
    )
    return SearchSpace(choices, conditions=conditions, constraints=[rule])


def tiny_space() -> SearchSpace:
    """Twelve architectures."""
    return SearchSpace({"a": Ordinal(1, 2, 3), "b": Categorical("x", "y"), "c": Categorical(False, True)})


def cost(architecture: Architecture) -> float:
    """Grows with everything."""
    total = 1.0
    for layer in range(int(architecture["depth"])):
        heads = architecture.get(f"layers.{layer}.heads", 1)
        total += _PRICE[str(architecture[f"layers.{layer}.mixer"])] + 0.2 * float(heads)
    return total * float(architecture["width"])


def error(architecture: Architecture) -> float:
    """Falls with everything, with diminishing returns and an interaction of neighbouring layers."""
    quality, before = 0.1 * float(architecture["width"]) ** 0.5, "identity"
    for layer in range(int(architecture["depth"])):
        mixer = str(architecture[f"layers.{layer}.mixer"])
        quality += _GAIN[mixer] + (0.5 if (before, mixer) == ("conv", "softmax") else 0.0)
        quality += 0.05 * float(architecture.get(f"layers.{layer}.heads", 0))
        before = mixer
    return 1.0 / (1.0 + quality)


def measure(architecture: Architecture) -> dict[str, float]:
    """Both, and a third that trades with neither alone."""
    memory = cost(architecture) ** 0.5 + 3.0 * float(architecture["depth"])
    return {"error": error(architecture), "cost": cost(architecture), "memory": memory}
