"""Architectures that stand for all that a space costs: evenly over the quantiles of a cost, in a fixed order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from search_spaces import Architecture, SearchSpace

POOL = 256  # architectures whose cost is computed, to know the quantiles
_POOL_PER_PLACE = 4


def stratified(
    space: SearchSpace, count: int, cost: Callable[[Architecture], float], rng: random.Random
) -> dict[Architecture, float]:
    """`count` different architectures, or all if there are fewer, with their costs.

    They are taken from a pool at the quantiles of a van der Corput sequence (1935) that is shifted at random, so that
    every beginning of the result lies evenly over the costs, whatever their distribution; of `count` a power of two,
    one lies in each of as many equally full strata.  A larger `count` adds to a smaller one.  The pool is the whole
    space where that is small, else half of it drawn evenly, half with every answer of every choice equally likely:
    large architectures outnumber small ones by far.
    """
    pool = _pool(space, max(POOL, _POOL_PER_PLACE * count), rng)
    shift = rng.random()
    costs = {architecture: cost(architecture) for architecture in pool}
    left = sorted(pool, key=lambda architecture: (costs[architecture], architecture.digest))
    places = list(range(len(left)))  # of those that are left, among all
    chosen: dict[Architecture, float] = {}
    for index in range(min(count, len(pool))):
        wanted = int((_van_der_corput(index) + shift) % 1.0 * len(pool))
        nearest = min(range(len(places)), key=lambda position: abs(places[position] - wanted))
        del places[nearest]
        taken = left.pop(nearest)
        chosen[taken] = costs[taken]
    return chosen


def _pool(space: SearchSpace, wanted: int, rng: random.Random) -> list[Architecture]:
    if space.size() <= 2 * wanted:
        return list(space.enumerate())
    half = wanted // 2
    drawn = [space.sample(rng) for _ in range(half)] + [space.sample_balanced(rng) for _ in range(half)]
    return list(dict.fromkeys(drawn))


def _van_der_corput(index: int) -> float:
    """The binary digits of an index, mirrored at the point: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    value, share = 0.0, 0.5
    while index:
        index, digit = divmod(index, 2)
        value, share = value + digit * share, share / 2
    return value
