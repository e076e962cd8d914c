"""Evaluations column by column, and samples of them: what charts and statistics are made of.

Owns how whole columns are read: a study may hold 100,000 evaluations, and a record for each of them would cost three
times what the values of the driver cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from runner.store.lookup import require_study
from runner.store.queries import Columns, MetricColumn, MetricValues, Pair
from runner.store.tables import EvaluationRow, ValueRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select


_ASKED_AT_ONCE = 500  # numbers in one IN (...)
_READ_AT_ONCE = 500  # rows


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
            ordered = select(*fields).where(*new).order_by(EvaluationRow.sequence)
            ids, digests, fidelities, states = _lists(connection, ordered)
            places = {number: place for place, number in enumerate(ids)}
            return Columns(
                ids=ids,
                digests=digests,
                fidelities=fidelities,
                states=states,
                metrics={metric: _column(connection, study_id, metric, places, new, after) for metric in metrics},
            )

    def count_evaluations(self, study_id: str, fidelity: str) -> int:
        """How many evaluations a study has at a fidelity."""
        wanted = select(func.count()).select_from(EvaluationRow)
        wanted = wanted.where(EvaluationRow.study_id == study_id, EvaluationRow.fidelity == fidelity)
        with self._reading() as connection:
            return connection.scalar(wanted) or 0

    def metric_values(self, study_id: str, metric: str) -> MetricValues:
        """One metric of all evaluations of a study that have it, in no order."""
        wanted = select(ValueRow.evaluation_id, ValueRow.value, ValueRow.provenance)
        wanted = wanted.where(ValueRow.study_id == study_id, ValueRow.metric == metric, ValueRow.best)
        with self._reading() as connection:
            require_study(connection, study_id)
            ids, values, provenances = _lists(connection, wanted)
            return MetricValues(ids=ids, values=values, provenances=provenances)

    def architectures(self, study_id: str, *, after: int = 0) -> dict[int, str]:
        """The canonical JSON of the architecture of each evaluation, by its id, in the order of their commits."""
        with self._reading() as connection:
            require_study(connection, study_id)
            wanted = select(EvaluationRow.id, EvaluationRow.architecture_json)
            wanted = wanted.where(*_newer(connection, study_id, after)).order_by(EvaluationRow.sequence)
            return dict(zip(*_lists(connection, wanted), strict=True))

    def architectures_of(self, study_id: str, ids: Sequence[int]) -> dict[int, str]:
        """The same of these evaluations alone."""
        found: dict[int, str] = {}
        wanted = select(EvaluationRow.id, EvaluationRow.architecture_json).where(EvaluationRow.study_id == study_id)
        with self._reading() as connection:
            for some in _parts(ids):
                found.update(zip(*_lists(connection, wanted.where(EvaluationRow.id.in_(some))), strict=True))
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
    for number, value, provenance in zip(*_lists(connection, wanted), strict=True):
        place = places[number]
        values[place] = value
        provenances[place] = provenance
    return MetricColumn(values=values, provenances=provenances)


def _lists(connection: Connection, wanted: Select[*tuple[Any, ...]]) -> list[list[Any]]:
    """The driver's own rows as a list a column, of texts and plain numbers alone: nothing is converted.

    Some rows at a time, so that they are gone before Python's collector looks at them: with 100,000 of them it takes as
    long as the database.
    """
    result = connection.execute(wanted)
    assert result.cursor is not None
    lists: list[list[Any]] = [[] for _ in wanted.selected_columns]
    while rows := result.cursor.fetchmany(_READ_AT_ONCE):
        for column, part in zip(lists, zip(*rows, strict=True), strict=True):
            column.extend(part)
    result.close()
    return lists


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _ASKED_AT_ONCE] for start in range(0, len(ids), _ASKED_AT_ONCE)]
