"""Transactions: what is true within one, and when it has happened.  It knows no table."""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from runner.faults import fault
from runner.store.errors import InvalidRecord, StoreUnavailable
from runner.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from sqlalchemy import Connection, Engine, RootTransaction

WRITES = "supernaut_writes"  # execution option of connections whose transactions write; see sqlite.py
_FATE_PATIENCE_S = 30.0  # how long a commit whose answer was lost is asked for
_FATE_PAUSE_S = 0.1


def utc_now() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(UTC)


class Transactions:
    """Opens transactions on one database; the base of everything that reads or writes rows.

    On SQLite a writing transaction has the database to itself from its first statement (BEGIN IMMEDIATE), so
    that what it reads stays true until it commits: numbering rows and looking before inserting are safe.  On
    PostgreSQL that holds for what it has locked: a study and all about it (`lookup.hold_study`), or a thing that may
    not be there yet (`hold`).  Locks are taken in this order: study, job, anything by `hold`, events.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        place: str,
        now: Callable[[], datetime] = utc_now,
        guard: Callable[[Connection], None] | None = None,
    ) -> None:
        self.place = place
        self._guard = guard  # what must hold in every writing transaction; it raises where it does not
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._reader = engine
        if engine.dialect.name == "postgresql":  # SQLite gives every transaction one view of everything
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")
        self._now = now

    def close(self) -> None:
        """Close all connections; of a guarded one they are those of the repository that it was made from."""
        if self._guard is None:
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _time(self) -> datetime:
        """The time of the clock, in UTC."""
        time = self._now()
        if time.tzinfo is None:
            raise InvalidRecord(f"the clock gave {time} without a time zone; give one like datetime.now(UTC)")
        return time.astimezone(UTC)

    def database_time(self) -> datetime:
        """The time of the database, which is the same for all machines that use it."""
        with self._reading() as connection:
            return database_time(connection)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One consistent view of the database."""
        with translated(self.place), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self, name: str) -> Iterator[Connection]:
        """All or nothing: commits at the end, rolls back where an error leaves the block.

        `name` is the method's own, for its fault points.  Where StoreUnavailable is raised, nothing was
        written, so that the same call can be repeated; but see `_commit`.
        """
        with translated(self.place), self._writer.connect() as connection, connection.begin() as transaction:
            if self._guard is not None:
                self._guard(connection)
            yield connection
            fault(f"{name}.before_commit")
            self._commit(connection, transaction)
        fault(f"{name}.after_commit")

    def _commit(self, connection: Connection, transaction: RootTransaction) -> None:
        """Commit; where the connection is lost before the answer comes, find out on another one what became of it.

        Only where PostgreSQL cannot be reached again for `_FATE_PATIENCE_S` that stays unknown, and the error says so.
        """
        number = None
        if connection.dialect.name == "postgresql":
            number = connection.scalar(text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)"))
        try:
            transaction.commit()
        except DBAPIError as error:
            if number is None or not error.connection_invalidated:
                raise
            if not self._was_committed(number, error):
                raise

    def _was_committed(self, number: str, lost: DBAPIError) -> bool:
        question = text("SELECT pg_xact_status(CAST(:number AS xid8))")
        until = time.monotonic() + _FATE_PATIENCE_S
        while True:
            try:
                with self._reader.begin() as connection:
                    fate = connection.scalar(question, {"number": number})
            except SQLAlchemyError:
                fate = None
            if fate in ("committed", "aborted"):
                return bool(fate == "committed")
            if time.monotonic() > until:
                raise StoreUnavailable(
                    f"{self.place}: the connection was lost at a commit, and the database cannot be asked what became "
                    "of it; when it can be reached again, look whether the last change is there before you repeat it"
                ) from lost
            time.sleep(_FATE_PAUSE_S)


def database_time(connection: Connection) -> datetime:
    """The time of the database at this moment, not at the beginning of the transaction."""
    if connection.dialect.name == "sqlite":
        found = str(connection.scalar(text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")))
        return datetime.strptime(found, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)


def hold(connection: Connection, what: str) -> None:
    """Let nobody else pass here for the same thing until this transaction ends, whether it is recorded or not."""
    if connection.dialect.name != "sqlite":
        key = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "big", signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
