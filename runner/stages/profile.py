"""Stage 2: measure a designed sample of subnets, for the predictors to learn from.

First the scores, by all workers at once; then the latencies, one at a time on a machine that does nothing else.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from predictors.design import spread
from runner.errors import Interrupted
from runner.exporting import Exports
from runner.front import INHERITED
from runner.search.listed import Listed
from runner.search.problem import pose
from runner.stages.evaluating import evaluate
from search_spaces import Architecture
from supernet.training.loop import derive_seed

if TYPE_CHECKING:
    from runner.store.records import EvaluationRecord
    from runner.validation import Plan
    from runner.work import StudyWork

ORIGIN = "profile"


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
    result = evaluate(
        work,
        pose(work.plan.space, work.plan.task.metrics),
        Listed(sample),
        origin=ORIGIN,
        evaluations=len(sample),
        history=[record for record in work.evaluations() if record.fidelity == INHERITED],
    )
    if result.reason == "stopped":
        raise Interrupted(f"stopped after the scores of {len(result.evaluations)} of {len(sample)} architectures")
    if work.plan.latencies:
        _time(work)
    return {"architectures": len(sample)}


def profiled(work: StudyWork) -> list[EvaluationRecord]:
    """The architectures of the sample that could be scored, as the record stands now."""
    return [record for record in work.evaluations() if record.origin == ORIGIN and record.state == "complete"]


def _time(work: StudyWork) -> None:
    rows = profiled(work)
    missing = [(row, lacking) for row in rows if (lacking := _untimed(work, row))]
    waiting = [Architecture.from_json(row.architecture_json) for row, _ in missing]
    with Exports(work) as exports:
        for done, (row, metrics) in enumerate(missing):
            work.pause_if_asked()
            files = exports.files(waiting[done:])
            work.pause_if_asked()
            work.time(row.id, waiting[done], metrics, files)
            work.reporter.progress(len(rows) - len(missing) + done + 1, len(rows), f"timed {row.digest}")


def _untimed(work: StudyWork, row: EvaluationRecord) -> list[str]:
    known = {value.metric for value in row.values}
    return [metric for metric in work.plan.latencies if metric not in known]
