"""Transactions, and what a database's errors mean for a person.  It owns both; it knows no table."""

from __future__ import annotations

import errno
import hashlib
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from sqlalchemy import text
from sqlalchemy.exc import StatementError

from runner.faults import fault
from runner.store.errors import InvalidRecord, NotADatabase, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from sqlalchemy import Connection, Engine

WRITES = "supernaut_writes"  # execution option of connections whose transactions write; see engine.py


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
        with translated(self.place), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self, name: str) -> Iterator[Connection]:
        """All or nothing: commits at the end, rolls back where an error leaves the block.

        `name` is the method's own, for its fault points.  Where StoreUnavailable is raised, nothing was
        written, so that the same call can be repeated.
        """
        with translated(self.place), self._writer.begin() as connection:
            if self._guard is not None:
                self._guard(connection)
            yield connection
            fault(f"{name}.before_commit")
        fault(f"{name}.after_commit")


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


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn a database's errors into ours; what a bug of ours causes passes unchanged."""
    try:
        yield
    except StatementError as error:
        translation = _translation(error.orig, place)
        if translation is None:
            raise
        raise translation from error
    except sqlite3.Error as error:
        translation = _translation(error, place)
        if translation is None:
            raise
        raise translation from error
    except OSError as error:
        # Only a fault point raises one in here (faults.py): it stands for what SQLite would say.
        if error.errno != errno.ENOSPC:
            raise
        raise StoreUnavailable(f"{place}: {_FULL} ({error})") from error
    except (UnicodeEncodeError, OverflowError) as error:
        # SQLAlchemy lets pass what the driver says of a parameter.
        raise InvalidRecord(f"this cannot be recorded: {error}") from error


def _translation(error: BaseException | None, place: str) -> StoreError | None:
    if isinstance(error, (ValueError, TypeError)):  # raised while a parameter was encoded
        return InvalidRecord(f"this cannot be recorded: {error}")
    code = getattr(error, "sqlite_errorname", None) or ""
    for prefixes, kind, advice in _MEANINGS:
        if code.startswith(prefixes):
            return kind(f"{place}: {advice} ({error})")
    return None


_KEPT = "nothing recorded before is lost"
_FULL = f"the disk is full; free some space, then repeat: {_KEPT}"
_MEANINGS: tuple[tuple[tuple[str, ...], type[StoreError], str], ...] = (
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED"),
        StoreUnavailable,
        f"the database is locked by another process; wait for it or stop it, then repeat: {_KEPT}",
    ),
    (
        ("SQLITE_FULL",),
        StoreUnavailable,
        _FULL,
    ),
    (
        ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"),
        StoreUnavailable,
        "the database cannot be opened or written; check that it is a file, that it was not moved, and that "
        "you may write to it and to its folder",
    ),
    (
        ("SQLITE_IOERR", "SQLITE_PROTOCOL", "SQLITE_NOLFS"),
        StoreUnavailable,
        "the disk does not answer as it should; free some space if it is full, keep the database on a local "
        f"disk and check that disk, then repeat: {_KEPT}",
    ),
    (
        ("SQLITE_NOTADB", "SQLITE_CORRUPT"),
        NotADatabase,
        "this is no SQLite database, or it is damaged; give another path, or put back a backup copy",
    ),
)
