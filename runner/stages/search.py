"""Stage 3: search the space; scores are measured, computed costs exact, latencies predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from predictors.predictor import Predictor, fit_predictor
from runner.errors import Interrupted, StudyFailed
from runner.front import INHERITED, best_values
from runner.search.problem import pose
from runner.search.registry import create_algorithm
from runner.stages.evaluating import evaluate
from runner.stages.profile import ORIGIN, profiled
from runner.store.records import ValueRecord
from runner.validation import computed_costs
from search_spaces import Architecture

if TYPE_CHECKING:
    from runner.store.records import EvaluationRecord
    from runner.work import StudyWork


def run(work: StudyWork) -> dict[str, Any]:
    """Search from what the record holds until the evaluations are spent."""
    spec = work.spec.search
    records = [record for record in work.evaluations() if record.fidelity == INHERITED]
    measured_all = len(records) >= work.plan.space.size()
    predictors = {} if measured_all else {metric: learn_latency(work, metric) for metric in work.plan.latencies}

    def latencies(architecture: Architecture) -> list[ValueRecord]:
        device_id = work.study.device_id
        return [_predicted(metric, predictor, device_id, architecture) for metric, predictor in predictors.items()]

    problem = pose(work.plan.space, work.plan.goals, costs=_costs(work, records, predictors), bounds=work.plan.bounds)
    result = evaluate(
        work,
        problem,
        create_algorithm(spec.algorithm, problem, work.spec.seed),
        origin="search",
        evaluations=spec.evaluations,
        history=records,
        more_values=latencies,
    )
    work.close_executor()  # what comes next wants the cores: latencies, then training
    if result.reason == "stopped":
        raise Interrupted(f"stopped after {len(result.evaluations)} of {spec.evaluations} evaluations")
    if not result.front:
        raise StudyFailed(
            f"none of {len(result.evaluations)} evaluated architectures keeps the bounds; loosen them, widen the "
            "space, or raise search.evaluations, under a new study name."
        )
    return {"evaluations": len(result.evaluations), "reason": result.reason}


def learn_latency(work: StudyWork, metric: str) -> Predictor:
    """A latency predictor from the profiled architectures alone, so that a resumed search finds the same one."""
    # By digest: workers end in any order, and the same study must learn the same predictor.
    rows = sorted(profiled(work), key=lambda record: record.digest)
    values = [best_values(record.values)[metric].value for record in rows]
    architectures = [Architecture.from_json(record.architecture_json) for record in rows]
    predictor = fit_predictor(work.plan.space, architectures, values, work.spec.seed)
    fit = predictor.fit
    work.reporter.note(
        f"predictor of {metric}: {fit.count} measurements, left-out error {fit.mean_absolute_error:.4f} ms, "
        f"Kendall {fit.kendall:.2f}, {fit.coverage:.0%} inside the 90 % interval"
    )
    return predictor


def _predicted(metric: str, predictor: Predictor, device_id: str | None, architecture: Architecture) -> ValueRecord:
    prediction = predictor.predict([architecture])
    return ValueRecord(
        metric=metric,
        value=float(prediction.mean[0]),
        lower=float(prediction.lower[0]),
        upper=float(prediction.upper[0]),
        provenance="predicted",
        device_id=device_id,
    )


def _costs(
    work: StudyWork, records: Sequence[EvaluationRecord], predictors: Mapping[str, Predictor]
) -> dict[str, Callable[[Architecture], float]]:
    """The objectives that need no evaluation: computed ones exactly, latencies measured or predicted."""
    costs: dict[str, Callable[[Architecture], float]] = {
        name: (lambda architecture, name=name: computed_costs(architecture, work.plan)[name])  # type: ignore[misc]
        for name in work.plan.computed
    }
    for metric in work.plan.latencies:
        measured = {
            record.digest: best_values(record.values)[metric].value
            for record in records
            if record.origin == ORIGIN and record.state == "complete"
        }
        costs[metric] = partial(_latency, measured, predictors.get(metric))
    return costs


def _latency(measured: Mapping[str, float], predictor: Predictor | None, architecture: Architecture) -> float:
    if architecture.digest in measured or predictor is None:
        return measured[architecture.digest]
    return float(predictor.predict([architecture]).mean[0])
