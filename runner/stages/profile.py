"""Stage 2: measure a designed sample of subnets, scores and latencies, for the predictors to learn from."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from runner.front import INHERITED
from runner.validation import computed_costs
from supernet.training.loop import derive_seed

if TYPE_CHECKING:
    from runner.validation import Plan
    from runner.work import StudyWork
    from search_spaces import Architecture

CANDIDATES_PER_PLACE = 8


def design(plan: Plan) -> list[Architecture]:
    """The smallest, the largest and random architectures spread evenly over the range of sizes.

    A uniform sample of a space crowds in the middle; latencies must be known at the ends.  The order is shuffled, so
    that a slow drift of the machine is not taken for an effect of size.
    """
    wanted = min(plan.spec.search.measured_latencies, plan.space.size())
    chosen = dict.fromkeys([plan.space.smallest(), plan.space.largest()])
    rng = random.Random(derive_seed(plan.spec.seed, "profile"))
    pool = {plan.space.sample(rng) for _ in range(wanted * CANDIDATES_PER_PLACE)} - set(chosen)
    ordered = sorted(pool, key=lambda a: (computed_costs(a, plan)["parameters"], a.digest))
    places = wanted - len(chosen)
    if places > 0 and ordered:
        step = len(ordered) / places
        chosen |= dict.fromkeys(ordered[min(len(ordered) - 1, int((place + 0.5) * step))] for place in range(places))
    first, *others = chosen
    rng.shuffle(others)
    return [first, *others][:wanted]


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
