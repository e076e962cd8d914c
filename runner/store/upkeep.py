"""Looking after a record: checking it, copying it while others use it, putting a copy in its place.

It owns what a whole record is, and that neither a copy nor a record is ever overwritten.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, inspect, text

from runner.store import postgres
from runner.store.engine import locate
from runner.store.errors import NotADatabase, NotRecorded, RecordExists, StoreUnavailable
from runner.store.schema import found_revision, newest_revision
from runner.store.sqlite import BUSY_TIMEOUT_MS, copy_database, sqlite_engine
from runner.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

_SQLITE, _POSTGRES = b"SQLite format 3\0", b"PGDMP"  # how the files begin
_SHOWN_AT_MOST = 20  # problems of one kind

# What must hold whatever has happened to processes, disks and machines: a question that no row answers.
_RULES = {
    "the evaluations of a study are numbered with gaps": (
        "SELECT study_id FROM evaluation GROUP BY study_id HAVING count(*) != max(sequence) OR min(sequence) != 1"
    ),
    "the events of a study are numbered with gaps": (
        "SELECT study_id FROM event GROUP BY study_id HAVING count(*) != max(sequence) OR min(sequence) != 1"
    ),
    "the counter of events is behind them": (
        "SELECT max(number) FROM event HAVING max(number) > (SELECT value FROM counter WHERE name = 'event')"
    ),
    "an evaluation is recorded and still reserved": (
        "SELECT r.digest FROM reservation r JOIN evaluation e ON e.study_id = r.study_id AND e.digest = r.digest "
        "AND e.fidelity = r.fidelity AND e.seed = r.seed"
    ),
    "of several values of a metric not exactly one counts": (
        "SELECT evaluation_id FROM value GROUP BY evaluation_id, metric "
        "HAVING sum(CASE WHEN best THEN 1 ELSE 0 END) != 1"
    ),
    "a value belongs to another study than its evaluation": (
        "SELECT v.id FROM value v JOIN evaluation e ON e.id = v.evaluation_id WHERE e.study_id != v.study_id"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found; without problems the record is whole and of the newest revision."""

    place: str
    revision: str
    newest: str
    problems: tuple[str, ...]


def check(location: str | Path) -> Checked:
    """Read the whole record and look whether it is as it must be.  Raises StoreError where it cannot be opened."""
    engine, place = _engine(location)
    try:
        with translated(place), engine.connect() as connection:
            revision, newest = found_revision(connection, place), newest_revision()
            problems = list(_damage(connection))
            if revision != newest:
                problems.append(f"it has revision {revision}, this version needs {newest}: run `supernaut db upgrade`")
            elif not problems:
                problems.extend(_broken_rules(connection))
            return Checked(place=place, revision=revision, newest=newest, problems=tuple(problems))
    finally:
        engine.dispose()


def back_up(location: str | Path, target: Path) -> Path:
    """Copy the record as it is at one moment, while others go on using it, to a new file; return that.

    A file is copied by SQLite, a PostgreSQL database by pg_dump.  Raises RecordExists where there is such a file.
    """
    target = target.expanduser().absolute()
    if target.exists():
        raise RecordExists(f"{target} exists already; give another name, nothing is overwritten")
    where = locate(location)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.new")
    try:
        if isinstance(where, URL):
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _run("pg_dump", where, ("--format=custom", "--no-owner", "--no-privileges", f"--file={draft}"))
        else:
            _require_file(where)
            copy_database(where, draft)
        os.link(draft, target)
    except FileExistsError as error:
        raise RecordExists(f"{target} exists already; give another name, nothing is overwritten") from error
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(
            f"{target}: the copy cannot be made: {error}; give a folder that you may write to, with free space"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return target


def restore(location: str | Path, source: Path) -> str:
    """Make the record from a copy, where there is none yet; return its revision.

    Raises RecordExists where there is one: move it away first, nothing is overwritten.
    """
    where, source = locate(location), source.expanduser().absolute()
    try:
        with source.open("rb") as file:
            beginning = file.read(len(_SQLITE))
    except OSError as error:
        raise NotRecorded(f"{source}: there is no such copy to read: {error.strerror or error}") from error
    if isinstance(where, URL):
        _require_kind(source, beginning, _POSTGRES, "made by pg_dump")
        _restore_postgres(where, source)
    else:
        _require_kind(source, beginning, _SQLITE, "a copy of an SQLite record")
        _restore_file(where, source)
    engine, place = _engine(location)
    try:
        with translated(place), engine.connect() as connection:
            return found_revision(connection, place)
    finally:
        engine.dispose()


def _restore_file(path: Path, source: Path) -> None:
    for each in (path, path.with_name(f"{path.name}-wal")):
        if each.exists():
            raise RecordExists(f"{each} exists already; stop what uses it, move it away, and repeat")
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        for missing in reversed([each for each in (path.parent, *path.parent.parents) if not each.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        copy_database(source, draft)
        engine = sqlite_engine(draft, BUSY_TIMEOUT_MS)
        try:
            with translated(str(source)), engine.connect() as connection:
                found_revision(connection, str(source))
                if problems := tuple(_damage(connection)):
                    raise NotADatabase(f"{source}: this copy is damaged ({problems[0]}); take another one")
        finally:
            engine.dispose()
        os.link(draft, path)
    except FileExistsError as error:
        raise RecordExists(f"{path} exists already; stop what uses it, move it away, and repeat") from error
    except sqlite3.DatabaseError as error:
        raise NotADatabase(f"{source}: this copy is damaged ({error}); take another one") from error
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: the record cannot be made here: {error.strerror or error}; give a folder that you may write "
            "to, with free space"
        ) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _restore_postgres(url: URL, source: Path) -> None:
    engine, place = postgres.postgres_engine(url, BUSY_TIMEOUT_MS), postgres.shown(url)
    try:
        with translated(place), engine.connect() as connection:
            tables = inspect(connection).get_table_names()
    finally:
        engine.dispose()
    if tables:
        raise RecordExists(
            f"{place} has tables already, such as {min(tables)!r}; give a database that is empty, such as a new one "
            "made with createdb"
        )
    _run(
        "pg_restore",
        url,
        ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(source)),
    )


def _run(program: str, url: URL, options: Sequence[str]) -> None:
    """Run one of PostgreSQL's programs on a database; the password goes by the environment, which only we can read."""
    found = shutil.which(program)
    if found is None:
        raise StoreUnavailable(
            f"{program} is not found; install PostgreSQL's client programs, of the server's version or newer, or copy "
            "the database with your provider's own tools"
        )
    bare = url.set(drivername="postgresql", password=None)
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    address = bare.render_as_string(hide_password=False)
    done = subprocess.run(
        [found, "--no-password", f"--dbname={address}", *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise StoreUnavailable(f"{postgres.shown(url)}: {program} failed: {said}")


def _engine(location: str | Path) -> tuple[Engine, str]:
    where = locate(location)
    if isinstance(where, URL):
        return postgres.postgres_engine(where, BUSY_TIMEOUT_MS), postgres.shown(where)
    _require_file(where)
    return sqlite_engine(where, BUSY_TIMEOUT_MS), str(where)


def _require_file(path: Path) -> None:
    if not path.exists():
        raise NotRecorded(f"{path}: there is no record here yet; the first study makes it")


def _require_kind(source: Path, beginning: bytes, wanted: bytes, kind: str) -> None:
    if not beginning.startswith(wanted):
        raise NotADatabase(f"{source}: this is no copy {kind}, as this record needs; give another file or database")


def _damage(connection: Connection) -> Sequence[str]:
    """What SQLite finds wrong with its file; PostgreSQL looks after its own."""
    if connection.dialect.name != "sqlite":
        return ()
    found = [str(row[0]) for row in connection.execute(text(f"PRAGMA integrity_check({_SHOWN_AT_MOST})"))]
    broken = connection.execute(text("PRAGMA foreign_key_check")).fetchmany(_SHOWN_AT_MOST)
    return [each for each in found if each != "ok"] + [f"a row of {row[0]} points nowhere" for row in broken]


def _broken_rules(connection: Connection) -> Sequence[str]:
    problems = []
    for rule, question in _RULES.items():
        if (first := connection.execute(text(f"{question} LIMIT 1")).first()) is not None:
            problems.append(f"{rule}: {first[0]}")
    return problems
