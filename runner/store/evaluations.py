"""Evaluations and their values.  It owns that none is counted twice and that no measured value changes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import bindparam, delete, func, insert, select, update

from runner.store.errors import ImmutableValue, NotRecorded
from runner.store.lookup import hold_study, require_devices, require_study
from runner.store.records import PRECEDENCE, EvaluationRecord, Failure, ValueRecord, check_distinct
from runner.store.tables import EvaluationRow, ReservationRow, ValueRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from runner.store.records import NewEvaluation, NewReservation, Provenance

    _Key = tuple[str, str, str | None]  # metric, provenance, device: what is unique within an evaluation

_Wanted = TypeVar("_Wanted", int, str)

_ASKED_AT_ONCE = 500  # numbers in one IN (...): SQLite limits the parameters of a statement


class Evaluations(Transactions):
    """Reads and writes evaluations."""

    def record_evaluation(self, study_id: str, evaluation: NewEvaluation) -> tuple[EvaluationRecord, bool]:
        """Record an evaluation with its values, all or nothing; return it and whether it was new.

        Where its digest, fidelity and seed are recorded already, nothing changes; the older one is returned.
        It asks nobody who has reserved them: what others may evaluate at the same time goes through `settle`.
        """
        with self._writing("record_evaluation") as connection:
            hold_study(connection, study_id)
            if known := load_evaluation(connection, study_id, evaluation):
                return known, False
            return enter_evaluation(connection, study_id, evaluation, self._time()), True

    def find_evaluation(self, study_id: str, *, digest: str, fidelity: str, seed: int) -> EvaluationRecord | None:
        """The evaluation with this key, or None where it is still to be made."""
        with self._reading() as connection:
            require_study(connection, study_id)
            known = load_where(connection, _key(study_id, digest, fidelity, seed))
            return known[0] if known else None

    def evaluations(
        self, study_id: str, fidelity: str | None = None, *, after: int = 0
    ) -> tuple[EvaluationRecord, ...]:
        """The evaluations of a study, of one fidelity or of all, in the order of their commits.

        `after` leaves out those up to that sequence, for a reader who has seen them.
        """
        conditions: list[ColumnElement[bool]] = [
            EvaluationRow.study_id == study_id,
            EvaluationRow.sequence > after,
        ]
        if fidelity is not None:
            conditions.append(EvaluationRow.fidelity == fidelity)
        with self._reading() as connection:
            require_study(connection, study_id)
            return load_where(connection, conditions)

    def evaluations_of(self, study_id: str, digests: Iterable[str]) -> tuple[EvaluationRecord, ...]:
        """The evaluations of these architectures at every fidelity, in the order of their commits."""
        found: list[EvaluationRecord] = []
        with self._reading() as connection:
            require_study(connection, study_id)
            for some in _batches(dict.fromkeys(digests)):
                found.extend(
                    load_where(connection, (EvaluationRow.study_id == study_id, EvaluationRow.digest.in_(some)))
                )
        return tuple(sorted(found, key=lambda record: record.sequence))

    def add_value(self, evaluation_id: int, value: ValueRecord) -> None:
        """Add one value to a recorded evaluation; see `set_values`."""
        self.set_values({evaluation_id: (value,)})

    def set_values(self, values: Mapping[int, Sequence[ValueRecord]]) -> None:
        """Add values to recorded evaluations (by their `id`), all or nothing.

        A prediction replaces the one before it.  Any other value is final: to give the same again changes
        nothing, to give another one raises ImmutableValue.
        """
        for given in values.values():
            check_distinct(given)
        with self._writing("set_values") as connection:
            studies = _hold_evaluations(connection, values)
            require_devices(connection, _devices(value for given in values.values() for value in given))
            known = _known_values(connection, values)
            added: list[dict[str, Any]] = []
            changed: list[dict[str, Any]] = []
            surpassed: list[dict[str, Any]] = []
            for evaluation_id, given in values.items():
                new = []
                for value in given:
                    if (before := known[evaluation_id].get(value.key)) is None:
                        new.append(value)
                    else:
                        changed.extend(_changes(evaluation_id, before, value))
                best = {row.metric: row for row in known[evaluation_id].values() if row.best}
                counting = _counting((*best.values(), *new))
                surpassed.extend({"row_id": row.id} for row in best.values() if row not in counting)
                added.extend(
                    _columns(studies[evaluation_id], evaluation_id, value, best=value in counting) for value in new
                )
            this_row = update(ValueRow).where(ValueRow.id == bindparam("row_id"))
            if changed:
                connection.execute(this_row, changed)
            if surpassed:
                connection.execute(this_row.values(best=False), surpassed)
            if added:
                connection.execute(insert(ValueRow), added)


def load_evaluation(
    connection: Connection, study_id: str, key: NewEvaluation | NewReservation
) -> EvaluationRecord | None:
    """The evaluation with the digest, fidelity and seed of `key`, within the caller's transaction."""
    known = load_where(connection, _key(study_id, key.digest, key.fidelity, key.seed))
    return known[0] if known else None


def enter_evaluation(
    connection: Connection, study_id: str, evaluation: NewEvaluation, time: datetime
) -> EvaluationRecord:
    """Insert a new evaluation within the caller's transaction; it takes the place of its reservation.

    So no key is ever both evaluated and reserved, and none counts twice against a budget.
    """
    require_devices(connection, _devices(evaluation.values))
    _insert(connection, study_id, evaluation, time)
    connection.execute(
        delete(ReservationRow).where(
            ReservationRow.study_id == study_id,
            ReservationRow.digest == evaluation.digest,
            ReservationRow.fidelity == evaluation.fidelity,
            ReservationRow.seed == evaluation.seed,
        )
    )
    return load_where(connection, _key(study_id, evaluation.digest, evaluation.fidelity, evaluation.seed))[0]


def _key(study_id: str, digest: str, fidelity: str, seed: int) -> tuple[ColumnElement[bool], ...]:
    return (
        EvaluationRow.study_id == study_id,
        EvaluationRow.digest == digest,
        EvaluationRow.fidelity == fidelity,
        EvaluationRow.seed == seed,
    )


def _insert(connection: Connection, study_id: str, evaluation: NewEvaluation, created_at: datetime) -> None:
    last = connection.scalar(select(func.max(EvaluationRow.sequence)).where(EvaluationRow.study_id == study_id))
    failure = evaluation.failure
    inserted = connection.execute(
        insert(EvaluationRow).values(
            study_id=study_id,
            sequence=(last or 0) + 1,
            digest=evaluation.digest,
            architecture_json=evaluation.architecture_json,
            fidelity=evaluation.fidelity,
            seed=evaluation.seed,
            origin=evaluation.origin,
            state=evaluation.state,
            failure_kind=None if failure is None else failure.kind,
            failure_message=None if failure is None else failure.message,
            attempt=evaluation.attempt,
            duration_ms=evaluation.duration_ms,
            created_at=created_at,
        )
    )
    (evaluation_id,) = cast(tuple[int], inserted.inserted_primary_key)
    if evaluation.values:
        counting = _counting(evaluation.values)
        connection.execute(
            insert(ValueRow),
            [_columns(study_id, evaluation_id, value, best=value in counting) for value in evaluation.values],
        )


def load_where(connection: Connection, conditions: Iterable[ColumnElement[bool]]) -> tuple[EvaluationRecord, ...]:
    """The evaluations that meet all conditions, in the order of their commits, within the caller's transaction.

    Two queries, however many evaluations; their values come in the order in which they were recorded.
    """
    conditions = tuple(conditions)
    values: defaultdict[int, list[ValueRecord]] = defaultdict(list)
    of_these = select(
        ValueRow.evaluation_id,
        ValueRow.metric,
        ValueRow.value,
        ValueRow.provenance,
        ValueRow.lower,
        ValueRow.upper,
        ValueRow.device_id,
    )
    of_these = of_these.join(EvaluationRow, EvaluationRow.id == ValueRow.evaluation_id).where(*conditions)
    for number, metric, value, provenance, lower, upper, device_id in connection.execute(
        of_these.order_by(ValueRow.id)
    ):
        values[number].append(
            ValueRecord(
                metric=metric,
                value=value,
                provenance=cast("Provenance", provenance),
                lower=lower,
                upper=upper,
                device_id=device_id,
            )
        )
    rows = connection.execute(select(EvaluationRow).where(*conditions).order_by(EvaluationRow.sequence))
    return tuple(_evaluation(row, values) for row in rows)


def _evaluation(row: Any, values: Mapping[int, Sequence[ValueRecord]]) -> EvaluationRecord:
    failed = row.state == "failed"
    return EvaluationRecord(
        id=row.id,
        study_id=row.study_id,
        sequence=row.sequence,
        digest=row.digest,
        architecture_json=row.architecture_json,
        fidelity=row.fidelity,
        seed=row.seed,
        origin=row.origin,
        values=tuple(values.get(row.id, ())),
        failure=Failure(kind=row.failure_kind, message=row.failure_message) if failed else None,
        attempt=row.attempt,
        duration_ms=row.duration_ms,
        created_at=row.created_at,
    )


def _counting(values: Iterable[Any]) -> list[Any]:
    """Of values, or of their rows, those that count for their metrics; the order is that of recording."""
    counting: dict[str, Any] = {}
    for value in values:
        known = counting.get(value.metric)
        if known is None or PRECEDENCE.index(value.provenance) < PRECEDENCE.index(known.provenance):
            counting[value.metric] = value
    return list(counting.values())


def _columns(study_id: str, evaluation_id: int, value: ValueRecord, *, best: bool) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "best": best,
        "evaluation_id": evaluation_id,
        "metric": value.metric,
        "provenance": value.provenance,
        "device_id": value.device_id,
        **_numbers(value),
    }


def _numbers(value: ValueRecord) -> dict[str, float | None]:
    """As the database's own floats: a NumPy number would be stored as bytes."""
    return {
        "value": float(value.value),
        "lower": None if value.lower is None else float(value.lower),
        "upper": None if value.upper is None else float(value.upper),
    }


def _devices(values: Iterable[ValueRecord]) -> set[str]:
    return {value.device_id for value in values if value.device_id is not None}


def _hold_evaluations(connection: Connection, wanted: Iterable[int]) -> Mapping[int, str]:
    """Hold the studies of these evaluations, always in the same order; return each one's study."""
    studies: dict[int, str] = {}
    for numbers in _batches(wanted):
        rows = connection.execute(select(EvaluationRow.id, EvaluationRow.study_id).where(EvaluationRow.id.in_(numbers)))
        studies.update((row.id, row.study_id) for row in rows)
    if missing := sorted(set(wanted) - studies.keys()):
        raise NotRecorded(f"there is no evaluation with id {missing[0]}; its study may have been deleted")
    for study_id in sorted(set(studies.values())):
        hold_study(connection, study_id)
    return studies


def _known_values(connection: Connection, wanted: Iterable[int]) -> defaultdict[int, dict[_Key, Any]]:
    known: defaultdict[int, dict[_Key, Any]] = defaultdict(dict)
    for numbers in _batches(wanted):
        for row in connection.execute(select(ValueRow).where(ValueRow.evaluation_id.in_(numbers))):
            known[row.evaluation_id][row.metric, row.provenance, row.device_id] = row
    return known


def _changes(evaluation_id: int, before: Any, value: ValueRecord) -> list[dict[str, Any]]:
    """What must change in the row `before`: one set of columns or nothing."""
    numbers = _numbers(value)
    if numbers == {"value": before.value, "lower": before.lower, "upper": before.upper}:
        return []
    if value.provenance != "predicted":
        raise ImmutableValue(
            f"evaluation {evaluation_id} has {value.metric} = {before.value} ({value.provenance}) and is now "
            f"given {value.value}; only predictions may be replaced: keep the old value or record a new "
            "evaluation"
        )
    return [{"row_id": before.id, **numbers}]


def _batches(wanted: Iterable[_Wanted]) -> list[list[_Wanted]]:
    every = list(wanted)
    return [every[start : start + _ASKED_AT_ONCE] for start in range(0, len(every), _ASKED_AT_ONCE)]
