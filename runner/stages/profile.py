"""Stage 2: measure a designed sample of subnets, scores and latencies, for the predictors to learn from."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from predictors.design import spread
from runner.front import INHERITED
from supernet.training.loop import derive_seed

if TYPE_CHECKING:
    from runner.validation import Plan
    from runner.work import StudyWork
    from search_spaces import Architecture


def design(plan: Plan) -> list[Architecture]:
    """Architectures that lie far apart, the smallest first, so that a broken family shows at once.

    The order of the others is shuffled, so that a slow drift of the machine is not taken for an effect of size.
    """
    rng = random.Random(derive_seed(plan.spec.seed, "profile"))
    first, *others = spread(plan.space, plan.spec.search.measured_latencies, rng)
    rng.shuffle(others)
    return [first, *others]


def run(work: StudyWork) -> dict[str, Any]:
    """Score and time what the record lacks."""
    sample = design(work.plan)
    known = {record.digest for record in work.evaluations() if record.fidelity == INHERITED}
    for done, architecture in enumerate(sample, start=1):
        if architecture.digest not in known:
            work.pause_if_asked()
            started = time.monotonic()
            scores = work.score(architecture)
            latency = None
            if work.plan.times:
                latency = work.measure_latency(architecture, work.weights.extract(architecture))
            work.record_inherited(architecture, "profile", latency=latency, scores=scores, started=started)
        work.reporter.progress(done, len(sample), architecture.digest)
    return {"architectures": len(sample)}
