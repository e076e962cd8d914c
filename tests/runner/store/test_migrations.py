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
from runner.store.schema import MIGRATIONS, newest_revision
from runner.store.tables import Base
from tests.runner.store.examples import a_measurement, a_reservation, an_artifact, an_evaluation

# Written once by the code of revision 0001, through its repository; never made anew.
FIRST_RECORD = Path(__file__).parent / "record_0001.sql"


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def parts(path: Path) -> dict[str, set[str]]:
    """What each table and index of a database consists of, in any order."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        name: {" ".join(line.split()).removesuffix(",").strip() for line in sql.splitlines()}
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
    assert len(parts(path)) == len(Base.metadata.tables) + 1


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
            assert "WHERE device_id IS NULL" in str(CreateIndex(index).compile(dialect=dialect))


@pytest.fixture
def first_record(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RECORD.read_text(encoding="utf-8"))
    return path


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the tables that the first record had."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in ("study", "stage", "evaluation", "value", "measurement", "device", "artifact", "event")
        }


def test_the_first_record_keeps_every_row(first_record: Path) -> None:
    before = contents(first_record)
    assert all(before.values())
    done = upgrade(first_record)
    assert (done.before, done.after) == ("0001", newest_revision())
    assert done.backup is not None
    assert contents(first_record) == before == contents(done.backup)


def test_the_first_record_gets_the_tables_of_the_code(first_record: Path, tmp_path: Path) -> None:
    upgrade(first_record)
    fresh = tmp_path / "fresh.sqlite3"
    open_repository(fresh).close()
    assert parts(first_record) == parts(fresh)


def test_work_goes_on_in_the_first_record(first_record: Path) -> None:
    upgrade(first_record)
    with open_repository(first_record) as repository:
        study = repository.study("digits")
        complete, failed = repository.evaluations(study.id)
        assert complete.values == an_evaluation().values
        assert failed.failure == Failure(kind="non_finite", message="loss is NaN")
        assert repository.record_measurement(study.id, a_measurement())[1] is False
        assert repository.record_artifact(study.id, an_artifact())[1] is False
        assert repository.reservations(study.id) == ()
        made = repository.reserve(study.id, a_reservation("aaaa"), owner="me", lease_seconds=60, budget=3)
        assert repository.settle(study.id, "me", made.attempt, an_evaluation("aaaa"))[0].sequence == 3
