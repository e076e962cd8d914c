"""A front as rows of plain values: what CSV, JSON and data frames of it hold, from the record or from a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.agreement import agreements
from runner.front import EXPORTED, RETRAINED

if TYPE_CHECKING:
    from runner.front import Front, Point


def front_rows(front: Front, *, every: bool = False) -> list[dict[str, Any]]:
    """A row for each point of the front, the others behind them where `every` is set; all have the same keys."""
    kept = _agreement_fields(front)
    rows = [_row(point, front, on_front=True) | kept for point in front.points]
    if every:
        rows += [_row(point, front, on_front=False) | kept for point in front.others]
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def _row(point: Point, front: Front, *, on_front: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "architecture": point.architecture.digest,
        "on_front": on_front,
        "knee": point is front.knee,
    }
    for metric, value in point.values.items():
        row[metric] = value.value
        row[f"{metric}_provenance"] = value.provenance
        row[f"{metric}_lower"] = value.lower
        row[f"{metric}_upper"] = value.upper
    for fidelity in (RETRAINED, EXPORTED):
        for metric in front.goals:
            later = point.later.get(fidelity, {}).get(metric)
            row[f"{metric}_{fidelity}"] = later.value if later else None
    row["answers"] = point.architecture.to_json()
    return row


def _agreement_fields(front: Front) -> dict[str, Any]:
    """The same for every row, so that a table of rows alone holds it."""
    return {
        f"{one.metric}_{one.before}_{one.after}_{name}": value
        for one in agreements(front)
        for name, value in (("kendall", one.kendall), ("spearman", one.spearman), ("points", one.points))
    }
