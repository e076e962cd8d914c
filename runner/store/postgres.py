"""The record in a PostgreSQL database: how it is reached, made and migrated.  It owns the settings of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, inspect, text

from runner.faults import fault
from runner.store.errors import NotADatabase, StoreUnavailable
from runner.store.records import Upgrade
from runner.store.schema import found_revision, has_revision, migrate, newest_revision, require_newest
from runner.store.translation import translated

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

_OLDEST_SERVER = 13  # pg_xact_status and what belongs to it
_MIGRATION_LOCK = 0x5375_7065_726E  # any number, always the same one
_MIGRATION_PATIENCE_S = 300
_SILENT_TRANSACTION_S = 60  # who holds a lock and is not heard of for that long loses it
_CONNECTIONS = 5  # kept open by a process
_MORE_CONNECTIONS = 15  # opened when they are needed at once

# A server that has gone without a word is noticed after about half a minute, not after hours.
_NETWORK = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "application_name": "supernaut",
}


def shown(url: URL) -> str:
    """A URL for people: without its password, and without options that may hold one."""
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def open_engine(url: URL, busy_timeout_ms: int) -> Engine:
    """Connections to a record of the newest revision, made where the database is empty."""
    engine = postgres_engine(url, busy_timeout_ms)
    place = shown(url)
    try:
        with translated(place):
            with engine.connect() as connection:
                _require_server(connection, place)
                empty = not has_revision(connection)
            if empty:
                with engine.begin() as connection:
                    _make(connection, place)
            with engine.connect() as connection:
                require_newest(connection, place)
    except BaseException:
        engine.dispose()
        raise
    return engine


def upgrade(url: URL, busy_timeout_ms: int) -> Upgrade:
    """Migrate to the newest revision, all or nothing: PostgreSQL takes changes of tables back too."""
    engine = postgres_engine(url, busy_timeout_ms)
    place = shown(url)
    try:
        with translated(place), engine.begin() as connection:
            _require_server(connection, place)
            _hold_migrations(connection)
            if not has_revision(connection):
                _make(connection, place)
            before, after = found_revision(connection, place), newest_revision()
            if before == after:
                return Upgrade(before=before, after=after, backup=None)
            migrate(connection)
            fault("upgrade.before_commit")
        fault("upgrade.after_commit")
        return Upgrade(before=before, after=after, backup=None)
    finally:
        engine.dispose()


def postgres_engine(url: URL, busy_timeout_ms: int) -> Engine:
    """Connections with our settings; nobody is asked yet."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",  # what writers rely on, with locks; readers choose theirs
        pool_pre_ping=True,  # a connection that was lost while nobody used it is replaced unseen
        pool_size=_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        pool_timeout=max(busy_timeout_ms / 1000, 0.001),
        hide_parameters=True,  # an error's text is for people, and may be logged
        connect_args={name: value for name, value in _NETWORK.items() if name not in url.query},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # Not as options of the connection: a pooler in between would refuse those.
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = {int(busy_timeout_ms)}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {_SILENT_TRANSACTION_S * 1000}")
        connection.autocommit = False

    return engine


def _require_server(connection: Connection, place: str) -> None:
    found = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if found < _OLDEST_SERVER:
        raise StoreUnavailable(f"{place}: this server is PostgreSQL {found}; Supernaut needs {_OLDEST_SERVER} or newer")


def _hold_migrations(connection: Connection) -> None:
    """Let nobody else migrate until this transaction ends; who waits finds the work done."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{_MIGRATION_PATIENCE_S}s'"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))


def _make(connection: Connection, place: str) -> None:
    _hold_migrations(connection)
    if has_revision(connection):  # somebody was quicker
        return
    if tables := inspect(connection).get_table_names():
        raise NotADatabase(
            f"{place}: this database belongs to another program (it has a table {min(tables)!r}); give one that is "
            "empty, such as a new one made with createdb"
        )
    migrate(connection)
