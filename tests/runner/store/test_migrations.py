from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from runner.store import Failure, open_repository, upgrade
from runner.store.columns import Base
from runner.store.schema import MIGRATIONS, newest_revision
from tests.runner.store.examples import a_measurement, a_reservation, an_artifact, an_evaluation

# Written once by the code of each revision, through its repository; never made anew.
FIRST_RECORD = Path(__file__).parent / "record_0001.sql"
OLD_RECORDS = {path.stem.removeprefix("record_"): path for path in sorted(Path(__file__).parent.glob("record_*.sql"))}


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def parts(path: Path) -> dict[str, set[str]]:
    """What each table and index of a database consists of, in any order."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        # SQLite quotes the name of a table that took the place of another one.
        name: {" ".join(line.split()).removesuffix(",").strip().replace(f'"{name}"', name) for line in sql.splitlines()}
        for name, sql in rows
        if name not in ("alembic_version", "sqlite_sequence")
    }


def test_the_revisions_are_one_line_of_four_digits_in_file_order() -> None:
    revisions = [script.revision for script in scripts().walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert scripts().get_heads() == [newest_revision()]
    for script in scripts().walk_revisions():
        assert re.match(rf"{script.revision}_\w+\.py", script.path.rsplit("/", 1)[-1])


def test_migrations_from_nothing_give_the_tables_of_the_code(path: Path) -> None:
    open_repository(path).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_migrations_give_the_same_constraints_too(path: Path, tmp_path: Path) -> None:
    """Alembic compares neither CHECK constraints nor what is deleted along."""
    open_repository(path).close()
    direct = tmp_path / "direct.sqlite3"
    engine = create_engine(f"sqlite:///{direct}")
    Base.metadata.create_all(engine)
    engine.dispose()
    assert parts(path) == parts(direct)
    assert len(parts(path)) == sum(1 + len(table.indexes) for table in Base.metadata.tables.values())


def test_every_constraint_has_a_name_that_postgresql_keeps() -> None:
    for table in Base.metadata.tables.values():
        for item in (*table.constraints, *table.indexes):
            assert item.name, f"a constraint of {table.name} has no name"
            assert len(item.name) <= 63, item.name


def test_postgresql_could_make_the_tables() -> None:
    dialect = postgresql.dialect()
    for table in Base.metadata.sorted_tables:
        text = str(CreateTable(table).compile(dialect=dialect))
        assert "ENUM" not in text.upper()
        for index in table.indexes:
            partial = index.dialect_options["sqlite"]["where"] is not None
            assert ("WHERE" in str(CreateIndex(index).compile(dialect=dialect))) == partial


@pytest.fixture(params=OLD_RECORDS)
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def old_record(path: Path, revision: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_RECORDS[revision].read_text(encoding="utf-8"))
    return path


def columns(path: Path) -> dict[str, list[str]]:
    """The columns of each table of a record."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for (table,) in tables
            if table not in ("alembic_version", "sqlite_sequence")
        }


def contents(path: Path, wanted: dict[str, list[str]]) -> dict[str, list[tuple[object, ...]]]:
    """Every row of these columns."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall(), key=repr)
            for table, names in wanted.items()
        }


def test_the_newest_released_revision_has_its_record() -> None:
    assert [*OLD_RECORDS] == [f"{number:04}" for number in range(1, int(newest_revision()))]


def test_an_old_record_keeps_every_row(old_record: Path, revision: str) -> None:
    known = columns(old_record)
    before = contents(old_record, known)
    assert all(before.values())
    done = upgrade(old_record)
    assert (done.before, done.after) == (revision, newest_revision())
    assert done.backup is not None
    assert contents(old_record, known) == before == contents(done.backup, known)


def test_an_old_record_gets_the_tables_of_the_code(old_record: Path, tmp_path: Path) -> None:
    upgrade(old_record)
    fresh = tmp_path / "fresh.sqlite3"
    open_repository(fresh).close()
    assert parts(old_record) == parts(fresh)


def test_what_is_new_is_filled_in(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_RECORDS["0002"].read_text(encoding="utf-8"))
    upgrade(path)
    with open_repository(path) as repository:
        digits, words = repository.study("digits"), repository.study("text")
        for study in (digits, words):
            assert (study.owner, study.desired_state, study.lease_owner, study.lease_attempt) == (
                "local",
                None,
                None,
                0,
            )
            assert (study.notes, study.tags, study.revision) == ("", (), 1)
        # In one order of all studies, and in each study in its own.
        events = repository.events_after(0, limit=100)
        assert [each.number for each in events] == list(range(1, len(events) + 1))
        assert sorted(events, key=lambda each: each.time) == list(events)
        assert repository.last_event_number() == len(events)
        for study in (digits, words):
            assert repository.events_after(0, study_id=study.id, limit=100) == repository.events(study.id)
        assert repository.add_event(words.id, "note").number == len(events) + 1
        # The values that count are those of the highest provenance, of equals the first.
        found = repository.columns(digits.id, ["error", "latency_ms", "model_bytes"])
        assert {name: list(column.values) for name, column in found.metrics.items()} == {
            "error": [0.0625, None],
            "latency_ms": [1.25, None],
            "model_bytes": [1e6, None],
        }
        assert repository.metrics(words.id) == ("error", "latency_ms", "model_bytes")


def test_work_goes_on_in_an_old_record(old_record: Path) -> None:
    upgrade(old_record)
    with open_repository(old_record) as repository:
        study = repository.study("digits")
        complete, failed = repository.evaluations(study.id)
        assert complete.values[:3] == an_evaluation().values
        assert failed.failure == Failure(kind="non_finite", message="loss is NaN")
        assert repository.record_measurement(study.id, a_measurement())[1] is False
        assert repository.record_artifact(study.id, an_artifact())[1] is False
        assert {each.digest for each in repository.reservations(study.id)} <= {"aaaa"}
        made = repository.reserve(study.id, a_reservation("aaaa"), owner="me", lease_seconds=60, budget=3)
        assert repository.settle(study.id, "me", made.attempt, an_evaluation("aaaa"))[0].sequence == 3
