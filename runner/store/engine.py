"""Opening a record: which database a location means, and that it has the newest revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from runner import faults
from runner.store import postgres
from runner.store.errors import StoreUnavailable
from runner.store.records import Upgrade
from runner.store.repository import Repository
from runner.store.schema import found_revision, migrate, newest_revision, require_newest
from runner.store.sqlite import BUSY_TIMEOUT_MS, back_up, create_if_missing, sqlite_engine, use_write_ahead_log
from runner.store.transactions import WRITES, utc_now
from runner.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


def open_repository(
    location: str | Path, *, now: Callable[[], datetime] = utc_now, busy_timeout_ms: int = BUSY_TIMEOUT_MS
) -> Repository:
    """Open the record at a path, a `sqlite:///` or a `postgresql://` URL; where there is none, make it.

    A new file is for this user alone; a new PostgreSQL record is made in a database that exists and is empty.
    `now` is the clock of everything that is written but leases.  A writer waits up to `busy_timeout_ms` for another.
    """
    faults.check()
    where = locate(location)
    if isinstance(where, URL):
        return Repository(postgres.open_engine(where, busy_timeout_ms), place=postgres.shown(where), now=now)
    create_if_missing(where)
    engine = sqlite_engine(where, busy_timeout_ms)
    try:
        with translated(str(where)), engine.begin() as connection:
            require_newest(connection, str(where))
        use_write_ahead_log(engine, str(where))
    except BaseException:
        engine.dispose()
        raise
    return Repository(engine, place=str(where), now=now)


def upgrade(
    location: str | Path, *, now: Callable[[], datetime] = utc_now, busy_timeout_ms: int = BUSY_TIMEOUT_MS
) -> Upgrade:
    """Migrate the record to the newest revision, all or nothing; of a file after a copy was made beside it."""
    faults.check()
    where = locate(location)
    if isinstance(where, URL):
        return postgres.upgrade(where, busy_timeout_ms)
    create_if_missing(where)
    engine = sqlite_engine(where, busy_timeout_ms, foreign_keys=False)
    try:
        with translated(str(where)), engine.execution_options(**{WRITES: True}).begin() as connection:
            before, after = found_revision(connection, str(where)), newest_revision()
            if before == after:
                return Upgrade(before=before, after=after, backup=None)
            # Others can read meanwhile but not write: the copy is what the migration begins with.
            backup = back_up(where, before, now())
            migrate(connection)
            faults.fault("upgrade.before_commit")
        faults.fault("upgrade.after_commit")
        return Upgrade(before=before, after=after, backup=backup)
    finally:
        engine.dispose()


def locate(location: str | Path) -> Path | URL:
    """The file that a location means, or the URL of a PostgreSQL database."""
    if isinstance(location, Path) or "://" not in location:
        return Path(location).expanduser().absolute()
    try:
        url = make_url(location)
    except ArgumentError as error:
        raise StoreUnavailable(
            "the database URL cannot be read; give a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"
        ) from error
    if url.get_backend_name() == "postgresql":
        return url
    if url.get_backend_name() != "sqlite" or url.query or url.database in (None, "", ":memory:"):
        raise StoreUnavailable(
            f"{url.set(query={}).render_as_string(hide_password=True)}: the record is kept in an SQLite file or in "
            "PostgreSQL; give a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"
        )
    return Path(str(url.database)).expanduser().absolute()
