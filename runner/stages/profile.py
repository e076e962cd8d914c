"""Stage 2: measure a designed sample of subnets, scores and latencies, for the predictors to learn from."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from predictors.design import spread
from runner.errors import NonFiniteScore
from runner.front import INHERITED
from runner.work import latency_value
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
            try:
                scores = work.score(architecture)
            except NonFiniteScore as error:
                work.record_failure(architecture, "profile", "non_finite", str(error), started)
            else:
                _measure(work, architecture, scores, started)
        work.reporter.progress(done, len(sample), architecture.digest)
    return {"architectures": len(sample)}


def _measure(work: StudyWork, architecture: Architecture, scores: dict[str, float], started: float) -> None:
    if not work.plan.times:
        work.record_inherited(architecture, "profile", latency=None, scores=scores, started=started)
        return
    measured = work.time(work.weights.extract(architecture))
    latency = latency_value(measured, "inherited", work.timer.device_id)
    work.record_inherited(architecture, "profile", latency=latency, scores=scores, started=started)
    work.keep_measurement(architecture, INHERITED, measured)
