"""Opening a database: its file, its settings, its revision.  It owns these; rows are the repository's."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from runner import faults
from runner.store.errors import StoreUnavailable
from runner.store.records import Upgrade
from runner.store.repository import Repository
from runner.store.schema import found_revision, migrate, newest_revision, require_newest
from runner.store.transactions import WRITES, translated, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection, Engine

_BUSY_TIMEOUT_MS = 10_000


def open_repository(
    location: str | Path, *, now: Callable[[], datetime] = utc_now, busy_timeout_ms: int = _BUSY_TIMEOUT_MS
) -> Repository:
    """Open the record at a path or a `sqlite:///` URL; where there is none, make it, for this user alone.

    `now` is the clock of everything that is written.  A writer waits up to `busy_timeout_ms` for another one.
    """
    faults.check()
    path = _path(location)
    _create_if_missing(path)
    engine = _sqlite_engine(path, busy_timeout_ms)
    try:
        with translated(str(path)), engine.begin() as connection:
            require_newest(connection, str(path))
        _use_write_ahead_log(engine, str(path))
    except BaseException:
        engine.dispose()
        raise
    return Repository(engine, place=str(path), now=now)


def upgrade(
    location: str | Path, *, now: Callable[[], datetime] = utc_now, busy_timeout_ms: int = _BUSY_TIMEOUT_MS
) -> Upgrade:
    """Migrate the record to the newest revision, all or nothing, after a copy was made beside it."""
    faults.check()
    path = _path(location)
    _create_if_missing(path)
    engine = _sqlite_engine(path, busy_timeout_ms, foreign_keys=False)
    try:
        with translated(str(path)), engine.execution_options(**{WRITES: True}).begin() as connection:
            before, after = found_revision(connection, str(path)), newest_revision()
            if before == after:
                return Upgrade(before=before, after=after, backup=None)
            # Others can read meanwhile but not write: the copy is what the migration begins with.
            backup = _back_up(path, before, now())
            migrate(connection)
            faults.fault("upgrade.before_commit")
        faults.fault("upgrade.after_commit")
        return Upgrade(before=before, after=after, backup=backup)
    finally:
        engine.dispose()


def _path(location: str | Path) -> Path:
    if isinstance(location, Path) or "://" not in location:
        return Path(location).expanduser().absolute()
    try:
        url = make_url(location)
    except ArgumentError as error:
        raise StoreUnavailable("the database URL cannot be read; give a path or sqlite:///PATH") from error
    if url.get_backend_name() != "sqlite" or url.query or url.database in (None, "", ":memory:"):
        shown = url.render_as_string(hide_password=True)
        raise StoreUnavailable(f"{shown}: the record is kept in an SQLite file; give its path or sqlite:///PATH")
    return Path(str(url.database)).expanduser().absolute()


def _create_if_missing(path: Path) -> None:
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
    engine = _sqlite_engine(draft, _BUSY_TIMEOUT_MS, foreign_keys=False)
    try:
        _use_write_ahead_log(engine, place)
        with translated(place), engine.execution_options(**{WRITES: True}).begin() as connection:
            migrate(connection)
    finally:
        engine.dispose()


def _make_folders(folder: Path) -> None:
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _create_private(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _back_up(path: Path, revision: str, time: datetime) -> Path:
    backup = path.with_name(f"{path.name}.{revision}.{time:%Y%m%dT%H%M%S%f}.backup")
    try:
        _create_private(backup)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
    except (OSError, sqlite3.Error) as error:
        backup.unlink(missing_ok=True)
        raise StoreUnavailable(
            f"{backup}: the backup copy cannot be made, so nothing was migrated: {error}; free some space "
            "beside the database, or move it to a folder that you may write to"
        ) from error
    return backup


def _sqlite_engine(path: Path, busy_timeout_ms: int, *, foreign_keys: bool = True) -> Engine:
    # isolation_level None: the driver begins no transactions by itself, `begin` below does.
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": busy_timeout_ms / 1000},
        max_overflow=-1,  # threads wait for the database's lock, never for a connection
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        try:
            # A killed process loses nothing; a power cut may lose the last commits but damages nothing.
            connection.execute("PRAGMA synchronous = NORMAL")
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


def _use_write_ahead_log(engine: Engine, place: str) -> None:
    """Let readers and a writer work side by side.  It stays in the file, so only a record of ours gets it."""
    with translated(place), closing(engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
