"""Which subnets one training step trains.

A sampler answers for each step by its number, so that a resumed run draws what the uninterrupted one would have.  How
random architectures are drawn is `weighting`'s, which part of a space is open when `widening`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from supernet.errors import TrainingError
from supernet.training.weighting import SamplingWeights

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from search_spaces import Architecture, SearchSpace
    from supernet.training.distillation import Distillation

MOST_AT_ONCE = 64  # architectures of one step: each costs a forward and a backward pass


class SubnetSampler(Protocol):
    """Chooses the architectures of a step; the first one may teach the others."""

    @property
    def divides_batch(self) -> bool:
        """Whether each architecture gets a part of the batch of its own instead of all of it."""
        ...

    @property
    def usual_distillation(self) -> Distillation:
        """From whom the subnets of a step learn unless someone says otherwise."""
        ...

    def architectures(self, step: int, rng: random.Random) -> Sequence[Architecture]:
        """At least one architecture for the step with this number, from 0; everything random comes from `rng`."""
        ...

    def space_at(self, step: int) -> SearchSpace:
        """The part of the space that is trained at this step."""
        ...


@dataclass(frozen=True)
class Sandwich:
    """The largest, the smallest and some random architectures (Yu & Huang 2019, section 3.2).

    The random ones are balanced over the values of each choice: among all architectures the deep ones outnumber the
    others so far that uniform samples would hardly ever train what lies between the smallest and the deepest.
    """

    divides_batch: ClassVar[bool] = False
    usual_distillation: ClassVar[Distillation] = "inplace"
    space: SearchSpace
    random_subnets: int = 2
    weights: SamplingWeights = field(default_factory=SamplingWeights)

    def architectures(self, step: int, rng: random.Random) -> Sequence[Architecture]:
        del step
        middle = [self.weights.draw(self.space, rng) for _ in range(self.random_subnets)]
        return [self.space.largest(), self.space.smallest(), *middle]

    def space_at(self, step: int) -> SearchSpace:
        del step
        return self.space


@dataclass(frozen=True)
class MultiArchitecture:
    """Several random architectures, each on its part of the batch, in one pass (ViT-ResNAS: Liao et al. 2021).

    A step costs what one subnet costs, and its gradient averages over architectures as it does over samples.
    """

    divides_batch: ClassVar[bool] = True
    usual_distillation: ClassVar[Distillation] = "labels"  # none sees what another one is to learn
    space: SearchSpace
    subnets: int = 2
    weights: SamplingWeights = field(default_factory=SamplingWeights)

    def __post_init__(self) -> None:
        if self.subnets < 1:
            raise TrainingError(f"a step trains at least one random subnet, got {self.subnets}.")

    def architectures(self, step: int, rng: random.Random) -> Sequence[Architecture]:
        del step
        return [self.weights.draw(self.space, rng) for _ in range(self.subnets)]

    def space_at(self, step: int) -> SearchSpace:
        del step
        return self.space


@dataclass(frozen=True)
class EveryArchitecture:
    """All architectures of a tiny space, the largest first: none is left to luck.

    Raises `TrainingError` where there are more than `MOST_AT_ONCE`.
    """

    divides_batch: ClassVar[bool] = False
    usual_distillation: ClassVar[Distillation] = "labels"  # the largest need not be the one to learn from
    space: SearchSpace

    def __post_init__(self) -> None:
        size = self.space.size()
        if size > MOST_AT_ONCE:
            raise TrainingError(
                f"every architecture of a space is trained in each step only up to {MOST_AT_ONCE} of them; this space "
                f"has {size:,}. Narrow it, or train a sandwich."
            )

    def architectures(self, step: int, rng: random.Random) -> Sequence[Architecture]:
        del step, rng
        largest = self.space.largest()
        return [largest, *(other for other in self.space.enumerate() if other != largest)]

    def space_at(self, step: int) -> SearchSpace:
        del step
        return self.space
