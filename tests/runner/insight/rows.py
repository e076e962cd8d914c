"""Architectures and metrics made up from known functions, so that what matters in them is known."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

Row = dict[str, Any]
MIXERS = ("identity", "convolution", "windowed", "softmax")


def architectures(count: int, *, layers: int = 6, seed: int = 0) -> list[Row]:
    """Answers drawn at random: a depth, of which layers there are as many, a width that matters to nobody."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        row: Row = {"depth": rng.choice((2, 4, layers)), "width": rng.choice((32, 48, 64)), "patch": rng.choice((2, 4))}
        for layer in range(row["depth"]):
            row[f"layers.{layer}.mixer"] = rng.choice(MIXERS)
            row[f"layers.{layer}.bits"] = rng.choice((4, 8, 32))
        rows.append(row)
    return rows


def measured(
    rows: Sequence[Mapping[str, Any]], of: Callable[[Mapping[str, Any]], float], noise: float = 0.0
) -> NDArray[np.float64]:
    """A metric of each row, with noise of this standard deviation."""
    values = np.array([of(row) for row in rows], dtype=np.float64)
    return values + np.random.default_rng(5).normal(0.0, noise, len(rows))


def share_of(row: Mapping[str, Any], kind: str, value: object) -> float:
    """Of the layers that there are, those with this answer."""
    found = [each for name, each in row.items() if name.endswith(f".{kind}")]
    return sum(each == value for each in found) / len(found)
