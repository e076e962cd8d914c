"""Which subnets one training step trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from search_spaces import Architecture, SearchSpace


class SubnetSampler(Protocol):
    """Chooses the architectures of a step; the first one teaches the others."""

    def architectures(self, rng: random.Random) -> Sequence[Architecture]:
        """At least one architecture; everything random comes from `rng`."""
        ...


@dataclass(frozen=True)
class Sandwich:
    """The largest, the smallest and some random architectures (Yu & Huang 2019, section 3.2).

    The random ones are balanced over the values of each choice: among all architectures the deep ones outnumber the
    others so far that uniform samples would hardly ever train what lies between the smallest and the deepest.
    """

    space: SearchSpace
    random_subnets: int = 2

    def architectures(self, rng: random.Random) -> Sequence[Architecture]:
        middle = [self.space.sample_balanced(rng) for _ in range(self.random_subnets)]
        return [self.space.largest(), self.space.smallest(), *middle]
