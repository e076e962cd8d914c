"""Which workers there are.  It owns when a row of a worker that nobody has heard of is forgotten."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from runner.store.errors import NotRecorded
from runner.store.records import WorkerRecord
from runner.store.tables import WorkerRow
from runner.store.transactions import Transactions, database_time, hold

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Connection

_REMEMBERED = timedelta(days=30)


class Workers(Transactions):
    """Reads and writes workers; all their times are the database's."""

    def register_worker(self, worker: WorkerRecord) -> WorkerRecord:
        """Record a worker that begins, in place of what is known of its id; its times become the database's."""
        with self._writing("register_worker") as connection:
            hold(connection, "workers")
            time = database_time(connection)
            begun = replace(worker, started_at=time, seen_at=time, stopped_at=None)
            connection.execute(
                delete(WorkerRow).where((WorkerRow.id == worker.id) | (WorkerRow.seen_at < time - _REMEMBERED))
            )
            connection.execute(insert(WorkerRow).values(**asdict(begun)))
            return begun

    def seen_worker(self, worker_id: str, study_id: str | None) -> None:
        """Say that a worker lives, and on which study it works."""
        with self._writing("seen_worker") as connection:
            _change(connection, worker_id, {"seen_at": database_time(connection), "study_id": study_id})

    def stop_worker(self, worker_id: str) -> None:
        """Say that a worker has ended by itself."""
        with self._writing("stop_worker") as connection:
            time = database_time(connection)
            _change(connection, worker_id, {"seen_at": time, "stopped_at": time, "study_id": None})

    def workers(self) -> tuple[WorkerRecord, ...]:
        """All workers, the oldest first; compare `seen_at` with `database_time()` to see who lives."""
        with self._reading() as connection:
            rows = connection.execute(select(WorkerRow).order_by(WorkerRow.started_at, WorkerRow.id))
            return tuple(WorkerRecord(**row._mapping) for row in rows)


def _change(connection: Connection, worker_id: str, changes: dict[str, Any]) -> None:
    if connection.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(**changes)).rowcount == 0:
        raise NotRecorded(f"there is no worker {worker_id!r}; record it first with register_worker()")
