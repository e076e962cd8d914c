"""Stage 4: measure every point of the front that rests on a prediction, until none is left.

A measured latency may push a point off the front and bring another one on, so the front is computed anew after
each measurement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from predictors.ranking import rank_agreement
from runner.errors import StudyFailed
from runner.exporting import Exports

if TYPE_CHECKING:
    from runner.front import Point
    from runner.work import StudyWork


def run(work: StudyWork) -> dict[str, Any]:
    """Measure until the front holds measured points only; say how good the predictions were."""
    if work.plan.latencies:
        with Exports(work) as exports:
            while waiting := _waiting(work):
                work.pause_if_asked()
                point = waiting[0]
                files = exports.files([each.architecture for each in waiting])
                work.pause_if_asked()
                work.time(point.evaluation_id, point.architecture, _predicted(work, point), files)
                front = work.front().points
                work.reporter.progress(len(front) - len(_waiting(work)), len(front), point.architecture.digest)
    if not work.front().points:
        raise StudyFailed(
            "with measured latencies nothing keeps the bounds any more, although the predictions promised it; loosen "
            "them, widen the space, or raise search.evaluations, under a new study name."
        )
    checks = {metric: predictions_against_measurements(work, metric) for metric in work.plan.latencies}
    for metric, checked in checks.items():
        if checked["checked_predictions"]:
            work.reporter.note(
                f"{metric}: {checked['inside_interval']} of {checked['checked_predictions']} measured ones lay inside "
                f"the 90 % interval that was predicted; mean error {checked['mean_absolute_error_ms']:.4f} ms"
            )
    return {"points": len(work.front().points), "predictions": checks}


def predictions_against_measurements(work: StudyWork, metric: str) -> dict[str, Any]:
    """Over the latencies that were predicted first and measured later: coverage, error and rank correlation."""
    pairs = []
    for record in work.evaluations():
        found = {value.provenance: value for value in record.values if value.metric == metric}
        if "predicted" in found and "inherited" in found:
            pairs.append((found["predicted"], found["inherited"]))
    if not pairs:
        return {"checked_predictions": 0}
    inside = sum(p.lower is not None and p.upper is not None and p.lower <= m.value <= p.upper for p, m in pairs)
    agreement = rank_agreement([p.value for p, _ in pairs], [m.value for _, m in pairs])
    return {
        "checked_predictions": len(pairs),
        "inside_interval": inside,
        "mean_absolute_error_ms": sum(abs(p.value - m.value) for p, m in pairs) / len(pairs),
        "kendall": agreement.kendall if agreement.kendall == agreement.kendall else None,
    }


def _waiting(work: StudyWork) -> list[Point]:
    return [point for point in work.front().points if _predicted(work, point)]


def _predicted(work: StudyWork, point: Point) -> list[str]:
    return [metric for metric in work.plan.latencies if point.predicted([metric])]
