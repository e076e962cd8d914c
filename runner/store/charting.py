"""Evaluations column by column, and samples of them: what charts and statistics are made of.

Owns how whole columns are read: a study may hold 100,000 evaluations, and rows of the driver cost a third of what a
record for each of them would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from runner.store.lookup import require_study
from runner.store.queries import Columns, MetricColumn, Pair
from runner.store.tables import EvaluationRow, ValueRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Executable

    from runner.store.records import EvaluationState, Provenance

_ASKED_AT_ONCE = 500  # numbers in one IN (...)


class Charting(Transactions):
    """Reads columns."""

    def columns(self, study_id: str, metrics: Sequence[str], *, after: int = 0) -> Columns:
        """All evaluations of a study with these metrics, for charts; those whose id is above `after`.

        With `after`, the work grows with what is new, not with the study.
        """
        fields = (EvaluationRow.id, EvaluationRow.digest, EvaluationRow.fidelity, EvaluationRow.state)
        with self._reading() as connection:
            require_study(connection, study_id)
            new = _newer(connection, study_id, after)
            rows = _rows(connection, select(*fields).where(*new).order_by(EvaluationRow.sequence))
            ids, digests, fidelities, states = zip(*rows, strict=True) if rows else ((), (), (), ())
            places = {number: place for place, number in enumerate(ids)}
            return Columns(
                ids=ids,
                digests=digests,
                fidelities=fidelities,
                states=cast("Sequence[EvaluationState]", states),
                metrics={metric: _column(connection, study_id, metric, places, new, after) for metric in metrics},
            )

    def count_evaluations(self, study_id: str, fidelity: str) -> int:
        """How many evaluations a study has at a fidelity."""
        wanted = select(func.count()).select_from(EvaluationRow)
        wanted = wanted.where(EvaluationRow.study_id == study_id, EvaluationRow.fidelity == fidelity)
        with self._reading() as connection:
            return connection.scalar(wanted) or 0

    def metric_column(self, study_id: str, metric: str, ids: Sequence[int]) -> MetricColumn:
        """One metric of these evaluations of a study, in their order."""
        with self._reading() as connection:
            require_study(connection, study_id)
            places = {number: place for place, number in enumerate(ids)}
            return _column(connection, study_id, metric, places, (), 0)

    def architectures(self, study_id: str, *, after: int = 0) -> dict[int, str]:
        """The canonical JSON of the architecture of each evaluation, by its id, in the order of their commits."""
        with self._reading() as connection:
            require_study(connection, study_id)
            wanted = select(EvaluationRow.id, EvaluationRow.architecture_json)
            wanted = wanted.where(*_newer(connection, study_id, after)).order_by(EvaluationRow.sequence)
            return dict(_rows(connection, wanted))

    def architectures_of(self, study_id: str, ids: Sequence[int]) -> dict[int, str]:
        """The same of these evaluations alone."""
        found: dict[int, str] = {}
        wanted = select(EvaluationRow.id, EvaluationRow.architecture_json).where(EvaluationRow.study_id == study_id)
        with self._reading() as connection:
            for some in _parts(ids):
                found.update(_rows(connection, wanted.where(EvaluationRow.id.in_(some))))
        return found

    def times_of(self, study_id: str, ids: Sequence[int]) -> dict[int, datetime]:
        """When these evaluations were recorded."""
        found: dict[int, datetime] = {}
        wanted = select(EvaluationRow.id, EvaluationRow.created_at).where(EvaluationRow.study_id == study_id)
        with self._reading() as connection:
            for some in _parts(ids):
                found.update((row[0], row[1]) for row in connection.execute(wanted.where(EvaluationRow.id.in_(some))))
        return found

    def predicted_and_measured(self, study_id: str, metric: str, limit: int) -> tuple[Pair, ...]:
        """What was predicted of a metric beside what was measured with shared weights later, the newest first."""
        before, later = aliased(ValueRow), aliased(ValueRow)
        same = and_(
            before.evaluation_id == later.evaluation_id,
            before.metric == metric,
            before.provenance == "predicted",
            before.device_id.is_not_distinct_from(later.device_id),
        )
        wanted = (
            select(
                EvaluationRow.digest,
                before.value,
                before.lower,
                before.upper,
                later.value,
                later.lower,
                later.upper,
            )
            .select_from(later)
            .join(before, same)
            .join(EvaluationRow, EvaluationRow.id == later.evaluation_id)
            .where(later.study_id == study_id, later.metric == metric, later.best, later.provenance == "inherited")
            .order_by(later.id.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            require_study(connection, study_id)
            return tuple(Pair(*row) for row in connection.execute(wanted))


def _newer(connection: Connection, study_id: str, after: int) -> tuple[ColumnElement[bool], ...]:
    """The evaluations of a study above an id.  Ids and sequence count the same way within a study."""
    its = EvaluationRow.study_id == study_id
    if after <= 0:
        return (its,)
    # From the newest backwards to the first that was seen: as many steps as there are new ones.
    last = select(EvaluationRow.sequence).where(its, EvaluationRow.id <= after)
    seen = connection.scalar(last.order_by(EvaluationRow.sequence.desc()).limit(1))
    return (its, EvaluationRow.sequence > (seen or 0))


def _column(
    connection: Connection,
    study_id: str,
    metric: str,
    places: Mapping[int, int],
    new: Iterable[ColumnElement[bool]],
    after: int,
) -> MetricColumn:
    values: list[Any] = [None] * len(places)
    provenances: list[Any] = [None] * len(places)
    wanted = select(ValueRow.evaluation_id, ValueRow.value, ValueRow.provenance).where(ValueRow.metric == metric)
    if after > 0:
        # By evaluation: the index by study and metric would lead through all of them.
        wanted = wanted.join(EvaluationRow, EvaluationRow.id == ValueRow.evaluation_id)
        wanted = wanted.where(ValueRow.best, *new)
    else:
        wanted = wanted.where(ValueRow.study_id == study_id, ValueRow.best)
    for number, value, provenance in _rows(connection, wanted):
        if (place := places.get(number)) is not None:  # one that came since the ids were read
            values[place] = value
            provenances[place] = provenance
    return MetricColumn(values=values, provenances=cast("Sequence[Provenance | None]", provenances))


def _rows(connection: Connection, wanted: Executable) -> Sequence[tuple[Any, ...]]:
    """The driver's own rows, of texts and plain numbers alone: nothing is converted."""
    result = connection.execute(wanted)
    assert result.cursor is not None
    rows: Sequence[tuple[Any, ...]] = result.cursor.fetchall()
    result.close()
    return rows


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _ASKED_AT_ONCE] for start in range(0, len(ids), _ASKED_AT_ONCE)]
