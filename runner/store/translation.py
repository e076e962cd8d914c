"""What the errors of the databases mean for a person.  It owns the translation into ours; it knows no table."""

from __future__ import annotations

import errno
import re
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import StatementError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from runner.store.errors import InvalidRecord, NotADatabase, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    except PoolExhausted as error:
        raise StoreUnavailable(
            f"{place}: all connections of this process are in use; wait a moment, then repeat: {_KEPT}"
        ) from error
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
    for prefixes, kind, advice in _MEANINGS:
        if _code(error).startswith(prefixes):
            return kind(f"{place}: {advice} ({_first_line(error)})")
    return None


def _code(error: BaseException | None) -> str:
    """SQLite's name of an error, or PostgreSQL's state: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
    if name := getattr(error, "sqlite_errorname", None):
        return str(name)
    if error is None or not hasattr(error, "sqlstate"):
        return ""
    # psycopg knows no state where no server has answered: no connection could be made, or it broke.
    return str(error.sqlstate or ("CONNECTION" if type(error).__name__ in _NO_ANSWER else "DRIVER"))


def _first_line(error: BaseException | None) -> str:
    """What the database says, without what libpq may quote of a connection's settings."""
    lines = str(error).strip().splitlines() or [""]
    return re.sub(r"(password\s*=\s*)\S+", r"\1***", lines[0])


_NO_ANSWER = ("OperationalError", "InterfaceError", "ConnectionTimeout")
_KEPT = "nothing recorded before is lost"
_FULL = f"the disk is full; free some space, then repeat: {_KEPT}"
_MEANINGS: tuple[tuple[tuple[str, ...], type[StoreError], str], ...] = (
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03"),
        StoreUnavailable,
        f"the database is locked by another process; wait for it or stop it, then repeat: {_KEPT}",
    ),
    (
        ("SQLITE_FULL", "53100"),
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
    (
        ("40",),
        StoreUnavailable,
        f"somebody changed the same at the same moment; repeat: {_KEPT}",
    ),
    (
        ("28", "3D", "42501"),
        StoreUnavailable,
        "the database refuses this user; check name, password and database in the URL, and that the user may make "
        "and change tables there",
    ),
    (
        ("53300", "53400"),
        StoreUnavailable,
        f"the server has no connection left; end some programs or raise its max_connections, then repeat: {_KEPT}",
    ),
    (
        ("25006",),
        StoreUnavailable,
        "the database takes no changes now (a standby, or default_transaction_read_only); name the primary server in "
        f"the URL: {_KEPT}",
    ),
    (
        ("CONNECTION", "08", "25P03", "57", "53", "58"),
        StoreUnavailable,
        f"the database server cannot be reached or ended the connection; check that it runs, then repeat: {_KEPT}",
    ),
    (
        ("XX00", "42P01", "42703"),
        NotADatabase,
        "this database is damaged, or somebody has changed its tables; put back a backup copy",
    ),
    (
        ("DRIVER", "22"),
        InvalidRecord,
        "this cannot be recorded",
    ),
)
