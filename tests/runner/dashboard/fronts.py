"""Fronts to draw: values made up for tests alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from runner.front import Front, compute_front
from runner.store import EvaluationRecord, Provenance, ValueRecord
from search_spaces import Architecture

Given = float | ValueRecord


def a_front(
    goals: Mapping[str, str],
    points: Sequence[Mapping[str, Given]],
    *,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    later: Mapping[int, Mapping[str, Mapping[str, float]]] | None = None,
) -> Front:
    """A front of architectures with these values; `later` holds, by position, what a fidelity reached."""
    records = []
    for index, values in enumerate(points):
        records.append(_record(len(records) + 1, index, "inherited", values))
        for fidelity, reached in (later or {}).get(index, {}).items():
            given = {metric: a_value(metric, number, fidelity) for metric, number in reached.items()}  # type: ignore[arg-type]
            records.append(_record(len(records) + 1, index, fidelity, given))
    return compute_front(records, goals, bounds or {})


def a_value(metric: str, value: float, provenance: Provenance, *, spread: float = 0.0) -> ValueRecord:
    """A number with an interval of `spread` to both sides, if that is not 0."""
    ends = {"lower": value - spread, "upper": value + spread} if spread else {}
    return ValueRecord(metric=metric, value=value, provenance=provenance, **ends)


def _record(number: int, index: int, fidelity: str, values: Mapping[str, Given]) -> EvaluationRecord:
    architecture = Architecture({"depth": index})
    return EvaluationRecord(
        id=number,
        study_id="0" * 32,
        sequence=number,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        digest=architecture.digest,
        architecture_json=architecture.to_json(),
        fidelity=fidelity,
        seed=0,
        origin="search",
        values=tuple(
            value if isinstance(value, ValueRecord) else a_value(metric, value, "inherited")
            for metric, value in values.items()
        ),
    )
