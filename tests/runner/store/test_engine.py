from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.store import (
    DatabaseTooNew,
    DatabaseTooOld,
    MigrationFailed,
    NotADatabase,
    StoreUnavailable,
    StudyNotFound,
    open_repository,
    schema,
    upgrade,
)
from runner.store.schema import MIGRATIONS, newest_revision
from tests.runner.store.examples import an_evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.store import Repository, StudyRecord
    from tests.runner.store.conftest import Clock

NEWEST = newest_revision()
NEXT = f"{int(NEWEST) + 1:04}"
NEXT_MIGRATION = f'''
"""A column more, by way of copying the table."""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{NEWEST}"

def upgrade():
    with op.batch_alter_table("study", recreate="always") as batch:
        batch.add_column(sa.Column("colour", sa.Text(), nullable=True))
'''


def execute(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def repository(path: Path, clock: Clock) -> Iterator[Repository]:
    """In a file: this module is about files."""
    with open_repository(path, now=clock) as opened:
        yield opened


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def newer_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the code be one revision ahead."""

    def install(migration: str) -> None:
        folder = tmp_path / "100% newer migrations"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / f"{NEXT}_next.py").write_text(migration, encoding="utf-8")
        monkeypatch.setattr(schema, "MIGRATIONS", folder)

    return install


class TestANewDatabase:
    def test_only_its_user_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "state" / "deep" / "record.sqlite3"
        with open_repository(path) as repository:
            repository.create_study(name="n", spec="{}", spec_digest="d", seed=0)
            assert mode(path.parent) == mode(path.parent.parent) == 0o700
            files = sorted(path.parent.iterdir())
            assert [file.name for file in files] == [
                "record.sqlite3",
                "record.sqlite3-shm",
                "record.sqlite3-wal",
            ]
            assert [mode(file) for file in files] == [0o600] * 3
        assert [file.name for file in path.parent.iterdir()] == ["record.sqlite3"]

    def test_a_folder_that_exists_keeps_its_mode(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        open_repository(tmp_path / "record.sqlite3").close()
        assert mode(tmp_path) == 0o755

    def test_its_settings(self, repository: Repository) -> None:
        with closing(repository._engine.raw_connection()) as connection:
            found = {
                name: connection.cursor().execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "busy_timeout", "synchronous", "foreign_keys")
            }
        assert found == {"journal_mode": "wal", "busy_timeout": 10_000, "synchronous": 1, "foreign_keys": 1}

    def test_it_can_be_opened_again_and_by_its_url(self, tmp_path: Path) -> None:
        path = tmp_path / "a record, 100% mine?.sqlite3"
        with open_repository(str(path)) as first, open_repository(path) as second:
            made = first.create_study(name="n", spec="{}", spec_digest="d", seed=0)
            assert second.study("n") == made
        with open_repository(f"sqlite:///{tmp_path / 'url.sqlite3'}") as repository:
            assert repository.studies() == ()
        assert (tmp_path / "url.sqlite3").exists()

    def test_nothing_half_made_is_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newer_code: Callable[[str], None]
    ) -> None:
        newer_code(NEXT_MIGRATION + "    raise RuntimeError('power cut')\n")
        with pytest.raises(RuntimeError, match="power cut"):
            open_repository(tmp_path / "state" / "record.sqlite3")
        assert list((tmp_path / "state").iterdir()) == []

    def test_who_comes_second_takes_what_is_there(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with open_repository(path) as first:
            made = first.create_study(name="n", spec="{}", spec_digest="d", seed=0)
        # As if the other process had made the file right after this one found it missing.
        absent = iter([False])
        exists = Path.exists
        monkeypatch.setattr(Path, "exists", lambda self: next(absent, exists(self)) if self == path else exists(self))
        with open_repository(path) as second:
            assert second.studies() == (made,)
        assert [file.name for file in path.parent.iterdir()] == [path.name]


class TestWhatIsRefused:
    @pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 50, b"", b"x"])
    def test_a_file_that_is_no_database(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(NotADatabase, match=r"record\.sqlite3: .*give another path"):
            open_repository(path)
        assert path.read_bytes() == content

    def test_a_database_of_another_program_stays_as_it_is(self, path: Path) -> None:
        execute(path, "CREATE TABLE recipes (name TEXT)")
        before = path.read_bytes()
        with pytest.raises(NotADatabase, match="belongs to another program"):
            open_repository(path)
        with pytest.raises(NotADatabase, match="belongs to another program"):
            upgrade(path)
        assert path.read_bytes() == before

    @pytest.mark.slow
    def test_a_truncated_database(self, path: Path) -> None:
        with open_repository(path) as repository:
            study = repository.create_study(name="n", spec="{}", spec_digest="d", seed=0)
            for number in range(50):
                repository.record_evaluation(study.id, an_evaluation(f"{number:012}"))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(NotADatabase, match=r"damaged.*backup copy"), open_repository(path) as repository:
            repository.evaluations(study.id)

    @pytest.mark.parametrize("revision", ["0999", "a1b2c3d4"])
    def test_a_newer_database(self, path: Path, revision: str) -> None:
        open_repository(path).close()
        execute(path, f"UPDATE alembic_version SET version_num = '{revision}'")
        for opening in (open_repository, upgrade):
            with pytest.raises(DatabaseTooNew, match=f"revision {revision}.*up to {NEWEST}; install"):
                opening(path)

    def test_an_older_database(self, path: Path, newer_code: Callable[[str], None]) -> None:
        open_repository(path).close()
        newer_code(NEXT_MIGRATION)
        with pytest.raises(DatabaseTooOld, match=rf"revision {NEWEST}.*needs {NEXT}; run `supernaut db upgrade`"):
            open_repository(path)

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://someone:secret@server/record?password=secret",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:///record.sqlite3?mode=ro",
            "1://",
        ],
    )
    def test_another_kind_of_database(self, url: str) -> None:
        with pytest.raises(StoreUnavailable, match="sqlite:///PATH") as refused:
            open_repository(url)
        assert "secret" not in str(refused.value)

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a folder", encoding="utf-8")
        for path in (tmp_path / "file" / "record.sqlite3", tmp_path / "file" / "deep" / "record.sqlite3"):
            with pytest.raises(StoreUnavailable, match="cannot be made here: Not a directory; give a path"):
                open_repository(path)

    def test_a_folder_in_place_of_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable, match="check that it is a file"):
            open_repository(tmp_path)


class TestTrouble:
    """What goes wrong later: one clear message, and nothing recorded is lost."""

    def test_locked_by_another_process(self, path: Path, clock: Clock) -> None:
        with open_repository(path, now=clock, busy_timeout_ms=50) as repository:
            study = repository.create_study(name="n", spec="{}", spec_digest="d", seed=0)
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert repository.study("n") == study  # reading goes on
                with pytest.raises(StoreUnavailable, match=r"locked by another process.*repeat"):
                    repository.add_event(study.id, "note")
                other.execute("ROLLBACK")
            assert repository.add_event(study.id, "note").sequence == 2

    def test_a_full_disk(self, repository: Repository, study: StudyRecord) -> None:
        def limit(pages: int) -> None:
            with closing(repository._engine.raw_connection()) as connection:
                connection.cursor().execute(f"PRAGMA max_page_count = {pages}")

        limit(60)
        acknowledged = []
        with pytest.raises(StoreUnavailable, match="disk is full; free some space"):  # noqa: PT012
            for number in range(10_000):
                evaluation = an_evaluation(f"{number:012}")
                acknowledged.append(repository.record_evaluation(study.id, evaluation)[0])
        assert acknowledged
        assert repository.evaluations(study.id) == tuple(acknowledged)
        limit(1_000_000)
        record, created = repository.record_evaluation(study.id, an_evaluation(f"{len(acknowledged):012}"))
        assert created
        assert repository.evaluations(study.id) == (*acknowledged, record)

    def test_write_permission_lost(self, repository: Repository, study: StudyRecord) -> None:
        with closing(repository._engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA query_only = ON")
        with pytest.raises(StoreUnavailable, match="cannot be opened or written"):
            repository.add_event(study.id, "note")
        assert len(repository.events(study.id)) == 1


class TestUpgrade:
    def test_an_older_database_is_copied_and_migrated(
        self, path: Path, clock: Clock, newer_code: Callable[[str], None]
    ) -> None:
        with open_repository(path, now=clock) as repository:
            study = repository.create_study(name="n", spec="{}", spec_digest="d", seed=0, stages=("train",))
            record, _ = repository.record_evaluation(study.id, an_evaluation())
        newer_code(NEXT_MIGRATION)
        done = upgrade(path, now=clock)
        assert (done.before, done.after) == (NEWEST, NEXT)
        assert done.backup is not None
        assert done.backup.parent == path.parent
        assert done.backup.name.startswith(f"record.sqlite3.{NEWEST}.2026")
        assert mode(done.backup) == 0o600
        assert execute(done.backup, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
        assert execute(done.backup, "SELECT count(*) FROM value") == [(3,)]
        assert execute(path, "SELECT version_num, colour FROM alembic_version, study") == [(NEXT, None)]
        # The table was copied and dropped; what points to it is still there.
        with open_repository(path, now=clock) as repository:
            assert repository.evaluations(study.id) == (record,)
            assert len(repository.stages(study.id)) == 1
        assert upgrade(path).backup is None

    def test_what_is_new_needs_no_copy(self, path: Path) -> None:
        done = upgrade(path)
        assert (done.before, done.after, done.backup) == (NEWEST, NEWEST, None)
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize(
        ("last_line", "error"),
        [
            ("    raise RuntimeError('power cut')", RuntimeError),
            ("    op.execute('DELETE FROM study')", MigrationFailed),
        ],
    )
    def test_a_migration_that_fails_changes_nothing(
        self, path: Path, newer_code: Callable[[str], None], last_line: str, error: type[Exception]
    ) -> None:
        with open_repository(path) as repository:
            study = repository.create_study(name="n", spec="{}", spec_digest="d", seed=0, stages=("train",))
        dump = execute(path, "SELECT type, name, sql FROM sqlite_master")
        newer_code(NEXT_MIGRATION + last_line + "\n")
        with pytest.raises(error, match=r"power cut|in table '\w+'.*rolled back"):
            upgrade(path)
        assert execute(path, "SELECT type, name, sql FROM sqlite_master") == dump
        assert execute(path, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
        assert execute(path, "SELECT id FROM study") == [(study.id,)]

    def test_without_room_for_the_copy_nothing_is_migrated(
        self, path: Path, newer_code: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        open_repository(path).close()
        newer_code(NEXT_MIGRATION)

        def full(*_arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("runner.store.sqlite._create_private", full)
        with pytest.raises(StoreUnavailable, match=r"nothing was migrated.*No space left.*free some space"):
            upgrade(path)
        assert execute(path, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
        assert [file.name for file in path.parent.iterdir() if file.is_file()] == [path.name]


def test_sqlalchemy_is_imported_only_when_a_record_is_opened() -> None:
    program = (
        "import sys, runner.store; from runner.store import StoreError, ValueRecord;"
        "assert 'sqlalchemy' not in sys.modules and 'alembic' not in sys.modules;"
        "from runner.store import open_repository;"
        "assert 'sqlalchemy' in sys.modules and 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import runner.store

    with pytest.raises(AttributeError, match="no attribute 'Repozitory'"):
        _ = runner.store.Repozitory


def test_a_closed_repository_does_not_keep_its_file(path: Path) -> None:
    with open_repository(path) as repository, pytest.raises(StudyNotFound):
        repository.study("nobody")
    assert not path.with_name("record.sqlite3-wal").exists()
