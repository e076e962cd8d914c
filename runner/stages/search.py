"""Stage 3: search the space; scores are measured, computed costs exact, latencies predicted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from predictors.predictor import Predictor, fit_predictor
from runner.errors import Interrupted, StudyFailed
from runner.front import INHERITED, best_values
from runner.search.engine import search
from runner.search.evaluation import Evaluation
from runner.store.records import ValueRecord
from runner.study import LATENCY
from runner.validation import computed_costs
from search_spaces import Architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.store.records import EvaluationRecord
    from runner.work import StudyWork


def run(work: StudyWork) -> dict[str, Any]:
    """Search from what the record holds until the evaluations are spent."""
    spec = work.spec.search
    records = [record for record in work.evaluations() if record.fidelity == INHERITED]
    measured_all = len(records) >= work.plan.space.size()
    predictor = learn_latency(work, records) if work.plan.times and not measured_all else None
    started = time.monotonic()
    made = len(records)

    def evaluate(architecture: Architecture) -> Mapping[str, float]:
        nonlocal started
        started = time.monotonic()
        return work.score(architecture)

    def commit(evaluation: Evaluation) -> None:
        nonlocal made
        made += 1
        if evaluation.failure_kind is not None:
            work.record_failure(
                evaluation.architecture, "search", evaluation.failure_kind, evaluation.failure_message or "", started
            )
            return
        scores = {name: evaluation.values[name] for name in work.plan.task.metrics}
        latency = _predicted(predictor, work.timer.device_id, evaluation.architecture) if predictor else None
        work.record_inherited(evaluation.architecture, "search", latency=latency, scores=scores, started=started)
        detail = ", ".join(f"{name} {evaluation.values[name]:.4g}" for name in work.plan.goals)
        work.reporter.progress(made, spec.evaluations, detail)

    result = search(
        work.plan.space,
        evaluate,
        objectives=work.plan.goals,
        algorithm=spec.algorithm,
        evaluations=spec.evaluations,
        seed=work.spec.seed,
        costs=_costs(work, records, predictor),
        bounds=work.plan.bounds,
        history=[_history(record) for record in records],
        on_evaluation=commit,
        stop=work.stop,
    )
    if result.reason == "stopped":
        raise Interrupted(f"stopped after {len(result.evaluations)} of {spec.evaluations} evaluations")
    if not result.front:
        raise StudyFailed(
            f"none of {len(result.evaluations)} evaluated architectures keeps the bounds; loosen them, widen the "
            "space, or raise search.evaluations, under a new study name."
        )
    return {"evaluations": len(result.evaluations), "reason": result.reason}


def learn_latency(work: StudyWork, records: Sequence[EvaluationRecord]) -> Predictor:
    """A latency predictor from the profiled architectures alone, so that a resumed search finds the same one."""
    profiled = [record for record in records if record.origin == "profile" and record.state == "complete"]
    values = [best_values(record.values)[LATENCY].value for record in profiled]
    architectures = [Architecture.from_json(record.architecture_json) for record in profiled]
    predictor = fit_predictor(work.plan.space, architectures, values, work.spec.seed)
    fit = predictor.fit
    work.reporter.note(
        f"latency predictor: {fit.count} measurements, left-out error {fit.mean_absolute_error:.4f} ms, "
        f"Kendall {fit.kendall:.2f}, {fit.coverage:.0%} inside the 90 % interval"
    )
    return predictor


def _predicted(predictor: Predictor, device_id: str, architecture: Architecture) -> ValueRecord:
    prediction = predictor.predict([architecture])
    return ValueRecord(
        metric=LATENCY,
        value=float(prediction.mean[0]),
        lower=float(prediction.lower[0]),
        upper=float(prediction.upper[0]),
        provenance="predicted",
        device_id=device_id,
    )


def _costs(
    work: StudyWork, records: Sequence[EvaluationRecord], predictor: Predictor | None
) -> dict[str, Callable[[Architecture], float]]:
    """The objectives that need no evaluation: computed ones exactly, the latency measured or predicted."""
    costs: dict[str, Callable[[Architecture], float]] = {
        name: (lambda architecture, name=name: computed_costs(architecture, work.plan)[name])  # type: ignore[misc]
        for name in work.plan.computed
    }
    if work.plan.times:
        measured = {
            record.digest: best_values(record.values)[LATENCY].value
            for record in records
            if record.origin == "profile" and record.state == "complete"
        }

        def latency(architecture: Architecture) -> float:
            if architecture.digest in measured or predictor is None:
                return measured[architecture.digest]
            return float(predictor.predict([architecture]).mean[0])

        costs[LATENCY] = latency
    return costs


def _history(record: EvaluationRecord) -> Evaluation:
    architecture = Architecture.from_json(record.architecture_json)
    if record.failure is not None:
        return Evaluation.failed(architecture, record.failure.kind, record.failure.message)
    values = {name: value.value for name, value in best_values(record.values).items()}
    return Evaluation.complete(architecture, values)
