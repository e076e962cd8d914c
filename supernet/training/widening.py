"""Progressive widening: training begins with the largest values only and opens one group of choices after another.

As in progressive shrinking (Cai et al. 2020, section 3.3) and EfficientTDNN (2021): what is large is trained before
what is cut out of it has a say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernet.errors import TrainingError
from supernet.training.weighting import matching

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from search_spaces import Architecture, SearchSpace
    from supernet.training.distillation import Distillation
    from supernet.training.sampling import SubnetSampler

OPEN_BY = 0.5  # of the steps: all of the space then has the other half, in which the learning rate falls


@dataclass(frozen=True)
class Widening:
    """A sampler for each stage: `stages` holds the step with which it begins, from 0, and what then chooses.

    `Widening.over` makes the stages from the choices to open.
    """

    stages: tuple[tuple[int, SubnetSampler], ...]

    @classmethod
    def over(
        cls,
        space: SearchSpace,
        opening: Mapping[str, float],
        steps: int,
        recipe: Callable[[SearchSpace], SubnetSampler],
    ) -> Widening:
        """Open each choice (or last part of names, or pattern) of `opening` after that share of the steps.

        Until then it keeps the value that it has in the largest architecture.  Choices that are not named are open from
        the first step.  `recipe` makes the sampler of a part of the space.

        Raises `UnknownChoice`, or `TrainingError` where shares are not ascending within 0 and 1 or a choice is opened
        twice.
        """
        groups = [(matching(space, pattern), share) for pattern, share in opening.items()]
        _check(opening, groups)
        largest = space.largest()
        closed = {
            # Where the largest architecture does not have the choice, any one value keeps it possible.
            name: largest.get(name, space.choices[name].values[-1])
            for names, _ in groups
            for name in names
        }
        stages = [(0, recipe(space.fix(closed)))]
        for names, share in groups:
            closed = {name: value for name, value in closed.items() if name not in names}
            stages.append((math.ceil(share * steps), recipe(space.fix(closed))))
        return cls(tuple(stages))

    @property
    def divides_batch(self) -> bool:
        """As the stages do."""
        return self.stages[0][1].divides_batch

    @property
    def usual_distillation(self) -> Distillation:
        """As in the stages."""
        return self.stages[0][1].usual_distillation

    def architectures(self, step: int, rng: random.Random) -> Sequence[Architecture]:
        # While nearly everything is closed the largest is the smallest and the random one, too: once is enough.
        return list(dict.fromkeys(self._sampler_at(step).architectures(step, rng)))

    def space_at(self, step: int) -> SearchSpace:
        return self._sampler_at(step).space_at(step)

    def _sampler_at(self, step: int) -> SubnetSampler:
        return next(sampler for begin, sampler in reversed(self.stages) if step >= begin)


def evenly(names: Sequence[str]) -> dict[str, float]:
    """When to open each of these, one after another at equal distances, the last one `OPEN_BY`."""
    return {name: OPEN_BY * (position + 1) / len(names) for position, name in enumerate(names)}


def _check(opening: Mapping[str, float], groups: Sequence[tuple[tuple[str, ...], float]]) -> None:
    shares = list(opening.values())
    if shares != sorted(shares) or not all(0 <= share <= 1 for share in shares):
        raise TrainingError(
            f"choices open after ascending shares of the steps, from 0 to 1; got {', '.join(map(str, shares))}."
        )
    names = [name for group, _ in groups for name in group]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise TrainingError(f"{twice[0]!r} is opened twice, by {', '.join(map(repr, opening))}; leave one of them out.")
