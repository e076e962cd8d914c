"""The record in an SQLite file: how the file is made, opened and copied.  It owns the settings of connections."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event

from runner.store.errors import StoreUnavailable
from runner.store.schema import migrate
from runner.store.transactions import WRITES
from runner.store.translation import translated

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

BUSY_TIMEOUT_MS = 10_000
_CACHE_KIB = 16_384  # at most, of a connection that has read as much; SQLite's own 2 MiB make large studies slow


def create_if_missing(path: Path) -> None:
    """Make a complete new database under another name, then give it its own: nobody ever sees half of one.

    An existing file is left to SQLite: if this process opened and closed it by other means, POSIX would drop
    the locks that SQLite holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        if path.exists():
            return
        _make_folders(path.parent)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
        try:
            _create_private(draft)
            _fill(draft, str(path))
            with suppress(FileExistsError):  # another process made it in the meantime
                os.link(draft, path)
        finally:
            for suffix in ("", "-wal", "-shm"):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: the database cannot be made here: {error.strerror or error}; give a path in a folder "
            "that you may write to, with free space"
        ) from error


def _fill(draft: Path, place: str) -> None:
    engine = sqlite_engine(draft, BUSY_TIMEOUT_MS, foreign_keys=False)
    try:
        use_write_ahead_log(engine, place)
        with translated(place), engine.execution_options(**{WRITES: True}).begin() as connection:
            migrate(connection)
    finally:
        engine.dispose()


def _make_folders(folder: Path) -> None:
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _create_private(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def copy_database(path: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while others read and write it, to a new file for this user alone."""
    _create_private(target)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def back_up(path: Path, revision: str, time: datetime) -> Path:
    """Copy a database beside itself before it is migrated."""
    backup = path.with_name(f"{path.name}.{revision}.{time:%Y%m%dT%H%M%S%f}.backup")
    try:
        copy_database(path, backup)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(
            f"{backup}: the backup copy cannot be made, so nothing was migrated: {error}; free some space "
            "beside the database, or move it to a folder that you may write to"
        ) from error
    return backup


def sqlite_engine(path: Path, busy_timeout_ms: int, *, foreign_keys: bool = True) -> Engine:
    """Connections to a file, which must exist.  Foreign keys are off where tables are migrated."""
    # isolation_level None: the driver begins no transactions by itself, `begin` below does.
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": busy_timeout_ms / 1000},
        hide_parameters=True,  # an error's text is for people, and may be logged
        max_overflow=-1,  # threads wait for the database's lock, never for a connection
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        try:
            # A killed process loses nothing; a power cut may lose the last commits but damages nothing.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        except sqlite3.Error:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that begins to write may find its view out of date; a writer takes the lock at once.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def use_write_ahead_log(engine: Engine, place: str) -> None:
    """Let readers and a writer work side by side.  It stays in the file, so only a record of ours gets it."""
    with translated(place), closing(engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
