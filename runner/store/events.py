"""The events of a study.  It owns their numbering; what happened is told by whoever caused it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from runner.store.lookup import require_study
from runner.store.records import EventRecord
from runner.store.tables import EventRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection


class Events(Transactions):
    """Reads and writes events."""

    def add_event(self, study_id: str, kind: str, payload: Mapping[str, Any] | None = None) -> EventRecord:
        """Tell those who watch the study that something happened."""
        with self._writing("add_event") as connection:
            require_study(connection, study_id)
            return append_event(connection, study_id, kind, payload or {}, self._time())

    def events(self, study_id: str, after: int = 0) -> tuple[EventRecord, ...]:
        """The events of a study whose sequence is above `after`, in order."""
        wanted = select(EventRow).where(EventRow.study_id == study_id, EventRow.sequence > after)
        with self._reading() as connection:
            require_study(connection, study_id)
            rows = connection.execute(wanted.order_by(EventRow.sequence))
            return tuple(EventRecord(**row._mapping) for row in rows)


def append_event(
    connection: Connection, study_id: str, kind: str, payload: Mapping[str, Any], time: datetime
) -> EventRecord:
    """Write the next event within the caller's transaction, so that it is true exactly if that commits."""
    last = connection.scalar(select(func.max(EventRow.sequence)).where(EventRow.study_id == study_id))
    record = EventRecord(study_id=study_id, sequence=(last or 0) + 1, time=time, kind=kind, payload=payload)
    connection.execute(
        insert(EventRow).values(study_id=study_id, sequence=record.sequence, time=time, kind=kind, payload=payload)
    )
    return record
