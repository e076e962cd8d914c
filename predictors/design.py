"""Which architectures to measure so that the others can be predicted.

A uniform sample of a space is a poor one to learn from: deep architectures outnumber shallow ones by far, so it
hardly holds any of those that a front is made of.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from predictors.features import FeatureLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from search_spaces import Architecture, SearchSpace

POOL_PER_PLACE = 25


def spread(space: SearchSpace, count: int, rng: random.Random) -> list[Architecture]:
    """`count` architectures, or all if there are fewer, that lie far apart in what they answer and how often.

    Starts with the smallest and the largest and adds, again and again, the candidate that is farthest from those
    chosen (Gonzalez 1985), with every answer of every choice equally likely among the candidates.  Any beginning of
    the list is itself spread out.
    """
    count = min(count, space.size())
    chosen = list(dict.fromkeys([space.smallest(), space.largest()]))[:count]
    pool = list(dict.fromkeys(space.sample_balanced(rng) for _ in range(count * POOL_PER_PLACE)))
    pool = [architecture for architecture in pool if architecture not in chosen]
    if space.size() <= len(pool) + count:
        pool = [architecture for architecture in space.enumerate() if architecture not in chosen]
    points = _coordinates(space, [*chosen, *pool])
    nearest = np.min([_distances(points, row) for row in range(len(chosen))], axis=0)
    while len(chosen) < count:
        farthest = int(nearest.argmax())
        chosen.append(pool[farthest - (len(points) - len(pool))])
        nearest = np.minimum(nearest, _distances(points, farthest))
    return chosen


def _coordinates(space: SearchSpace, architectures: list[Architecture]) -> NDArray[np.float64]:
    """Decisions and counts, each choice and each group of like choices weighing the same."""
    layout = FeatureLayout.of(space)
    features = layout.extract(architectures)
    decisions = features.decisions / np.sqrt(len(layout.choices))
    counts = features.counts / layout.group_sizes[layout.count_groups] / np.sqrt(len(layout.groups))
    return np.hstack([decisions, counts])


def _distances(points: NDArray[np.float64], row: int) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = ((points - points[row]) ** 2).sum(axis=1)
    return distances
