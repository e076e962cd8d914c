"""Short ways to list the axes of common layers in a coupling."""

from __future__ import annotations

from supernet.pretrained.coupling import Axis


def written(*names: str, block: int = 1, parts: int = 1) -> tuple[Axis, ...]:
    """What linear maps and convolutions of these names write: the first axis of weight and bias.

    Also what normalises or convolves each feature on its own, which has the features along that axis.
    """
    return tuple(Axis(f"{name}.{what}", 0, block, parts) for name in names for what in ("weight", "bias"))


def read(*names: str, block: int = 1, parts: int = 1) -> tuple[Axis, ...]:
    """What linear maps and convolutions of these names read: the second axis of the weight."""
    return tuple(Axis(f"{name}.weight", 1, block, parts) for name in names)


def normalised(*names: str) -> tuple[Axis, ...]:
    """What batch normalisations of these names normalise, running statistics included."""
    kept = ("running_mean", "running_var")
    return (*written(*names), *(Axis(f"{name}.{what}") for name in names for what in kept))
