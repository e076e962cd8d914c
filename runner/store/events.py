"""The events of a study.  It owns their numbering; what happened is told by whoever caused it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from runner.store.lookup import hold_study, require_study
from runner.store.records import EventRecord
from runner.store.tables import CounterRow, EventRow, StudyRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

EVENTS = "event"  # the name of their counter


class Events(Transactions):
    """Reads and writes events."""

    def add_event(self, study_id: str, kind: str, payload: Mapping[str, Any] | None = None) -> EventRecord:
        """Tell those who watch the study that something happened."""
        with self._writing("add_event") as connection:
            hold_study(connection, study_id)
            return append_event(connection, study_id, kind, payload or {}, self._time())

    def events(self, study_id: str, after: int = 0) -> tuple[EventRecord, ...]:
        """The events of a study whose sequence is above `after`, in order."""
        wanted = select(EventRow).where(EventRow.study_id == study_id, EventRow.sequence > after)
        with self._reading() as connection:
            require_study(connection, study_id)
            rows = connection.execute(wanted.order_by(EventRow.sequence))
            return tuple(EventRecord(**row._mapping) for row in rows)

    def events_of_kinds(self, study_id: str, kinds: Collection[str]) -> tuple[EventRecord, ...]:
        """The events of a study of these kinds alone, in order."""
        wanted = select(EventRow).where(EventRow.study_id == study_id, EventRow.kind.in_(kinds))
        with self._reading() as connection:
            require_study(connection, study_id)
            rows = connection.execute(wanted.order_by(EventRow.sequence))
            return tuple(EventRecord(**row._mapping) for row in rows)

    def newest_event(self, study_id: str, kind: str) -> EventRecord | None:
        """The last event of this kind."""
        wanted = select(EventRow).where(EventRow.study_id == study_id, EventRow.kind == kind)
        with self._reading() as connection:
            row = connection.execute(wanted.order_by(EventRow.sequence.desc()).limit(1)).first()
            return None if row is None else EventRecord(**row._mapping)

    def events_before(self, study_id: str, sequence: int | None, *, limit: int) -> tuple[EventRecord, ...]:
        """The events of a study below a sequence, or all, the newest first."""
        wanted = select(EventRow).where(EventRow.study_id == study_id)
        if sequence is not None:
            wanted = wanted.where(EventRow.sequence < sequence)
        with self._reading() as connection:
            require_study(connection, study_id)
            rows = connection.execute(wanted.order_by(EventRow.sequence.desc()).limit(limit))
            return tuple(EventRecord(**row._mapping) for row in rows)

    def events_after(
        self, number: int, *, owner: str | None = None, study_id: str | None = None, limit: int
    ) -> tuple[EventRecord, ...]:
        """The events of all studies, of an owner's, or of one, whose number is above `number`, in order.

        Who asks again with the number of the last one misses none: an event is seen only after all before it.
        """
        wanted = select(EventRow).where(EventRow.number > number)
        if study_id is not None:
            wanted = wanted.where(EventRow.study_id == study_id)
        if owner is not None:
            wanted = wanted.join(StudyRow, StudyRow.id == EventRow.study_id).where(StudyRow.owner == owner)
        with self._reading() as connection:
            rows = connection.execute(wanted.order_by(EventRow.number).limit(limit))
            return tuple(EventRecord(**row._mapping) for row in rows)

    def last_event_number(self) -> int:
        """The number of the newest event of all; 0 before the first."""
        with self._reading() as connection:
            return connection.execute(select(CounterRow.value).where(CounterRow.name == EVENTS)).scalar_one()


def append_event(
    connection: Connection, study_id: str, kind: str, payload: Mapping[str, Any], time: datetime
) -> EventRecord:
    """Write the next event within the caller's transaction, so that it is true exactly if that commits.

    The caller holds the study.  From here on it also holds the counter of all events, until it commits: so events
    are numbered in the order of their commits.
    """
    last = connection.scalar(select(func.max(EventRow.sequence)).where(EventRow.study_id == study_id))
    number = connection.execute(
        update(CounterRow)
        .where(CounterRow.name == EVENTS)
        .values(value=CounterRow.value + 1)
        .returning(CounterRow.value)
    ).scalar_one()
    record = EventRecord(
        study_id=study_id, sequence=(last or 0) + 1, time=time, kind=kind, payload=payload, number=number
    )
    connection.execute(insert(EventRow).values(**asdict(record)))
    return record
