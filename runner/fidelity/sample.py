"""Which architectures a comparison is about: stratified over what the space costs, the same ones at every call."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictors.costs import model_size
from predictors.fidelity import FEWEST
from predictors.strata import stratified
from runner.errors import SpecError
from supernet.skeleton import build_outline

if TYPE_CHECKING:
    from runner.validation import Plan
    from search_spaces import Architecture

COST = (
    "parameters"  # every space has them, and they need no forward pass, so that hundreds of architectures are counted
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The architectures in the order in which they are trained, of which every beginning is spread over the costs."""

    costs: dict[Architecture, float]

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """In their order."""
        return tuple(self.costs)


def draw_sample(planned: Plan, count: int) -> Sample:
    """The sample of a study, which a larger `count` extends.  Raises `SpecError` for a space of fewer than three."""
    size = planned.space.size()
    if size < FEWEST:
        raise SpecError(
            f"the space of {planned.spec.name!r} holds {size} architecture{'' if size == 1 else 's'}, and a ranking "
            f"needs at least {FEWEST}; there is nothing to compare."
        )
    seed = planned.spec.seed

    def parameters(architecture: Architecture) -> float:
        return float(model_size(build_outline(planned.build, architecture, seed)).parameters)

    # A text is hashed the same way in every process.
    return Sample(costs=stratified(planned.space, count, parameters, random.Random(f"fidelity {seed}")))
