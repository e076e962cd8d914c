"""Which revision of the tables a database has, and how it gets to the newest.  It owns revisions, not files.

Revisions are four digits that count upwards in one line, so that two of them can be compared without Alembic,
which is imported only where something is migrated.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from runner.store.errors import DatabaseTooNew, DatabaseTooOld, MigrationFailed, NotADatabase

if TYPE_CHECKING:
    from sqlalchemy import Connection

_BEFORE_IT = {
    "sqlite": ", which makes a backup copy first",
    "postgresql": ", after `supernaut db backup` if you want to be able to go back",
}
MIGRATIONS = Path(__file__).parent / "migrations"


def newest_revision() -> str:
    """The revision that this code works with."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def found_revision(connection: Connection, place: str) -> str:
    """The revision of a database, which may be older than the code's but not newer."""
    found = connection.scalar(text("SELECT version_num FROM alembic_version")) if has_revision(connection) else None
    if found is None:
        raise NotADatabase(f"{place}: this database belongs to another program; give another path")
    newest = newest_revision()
    if not re.fullmatch("[0-9]{4}", found) or found > newest:
        raise DatabaseTooNew(
            f"{place}: this database has revision {found}, and this version of Supernaut knows them up to "
            f"{newest}; install the newer version that wrote it, or give another path"
        )
    return str(found)


def has_revision(connection: Connection) -> bool:
    """Whether a database says which revision it has, as every record of ours does."""
    return inspect(connection).has_table("alembic_version")


def require_newest(connection: Connection, place: str) -> None:
    """Raise unless the database has the revision that this code works with."""
    found, newest = found_revision(connection, place), newest_revision()
    if found != newest:
        raise DatabaseTooOld(
            f"{place}: this database has revision {found}, and this version of Supernaut needs {newest}; "
            f"run `supernaut db upgrade`{_BEFORE_IT[connection.dialect.name]}"
        )


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest revision within the caller's transaction.

    On SQLite that must not enforce foreign keys: it changes a table by copying it and dropping the old one, which
    would take the rows that point to it along.  So the keys are checked here, after the fact.  PostgreSQL changes
    tables in place and enforces keys all along.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    if broken:
        raise MigrationFailed(
            f"the migration left {len(broken)} rows that point nowhere, the first in table {broken[0][0]!r}; "
            "it was rolled back and the database is as before: please report this"
        )
