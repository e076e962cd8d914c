"""The record in PostgreSQL: how it is reached and made, and what happens when the server fails."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text

from runner.store import (
    DatabaseTooNew,
    DatabaseTooOld,
    InvalidRecord,
    NotADatabase,
    StoreUnavailable,
    StudyExists,
    open_repository,
    transactions,
    upgrade,
)
from runner.store.columns import Base
from runner.store.schema import newest_revision
from tests.runner.store.examples import an_evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.store import Repository
    from tests.postgres import Cluster

NEWEST = newest_revision()


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    made = cluster.make()
    yield made
    cluster.drop(made)


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """A database without any table."""
    made = cluster.make(template="template0")
    yield made
    cluster.drop(made)


@pytest.fixture
def opened(url: str) -> Iterator[Repository]:
    with open_repository(url) as repository:
        yield repository


def run(url: str, *statements: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


class TestMaking:
    def test_an_empty_database_becomes_a_record(self, empty: str) -> None:
        with open_repository(empty) as first, open_repository(empty.replace("postgresql:", "postgresql+psycopg:")) as b:
            made = first.create_study(name="n", spec="{}", spec_digest="d", seed=0)
            assert b.study("n") == made
        assert upgrade(empty).before == upgrade(empty).after == NEWEST

    def test_its_tables_are_those_of_the_code(self, empty: str) -> None:
        upgrade(empty)
        engine = create_engine(make_url(empty).set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Base.metadata) == []
            for table in Base.metadata.tables.values():
                checks = {each["name"] for each in inspect(connection).get_check_constraints(table.name)}
                expected = {str(each.name) for each in table.constraints if str(each.name).startswith("ck_")}
                assert checks == expected
                for key in inspect(connection).get_foreign_keys(table.name):
                    (column,) = key["constrained_columns"]
                    (declared,) = table.columns[column].foreign_keys
                    assert key["options"].get("ondelete") == declared.ondelete, key
        engine.dispose()

    def test_of_several_that_open_it_first_one_makes_it(self, empty: str) -> None:
        def make(number: int) -> str:
            with open_repository(empty) as repository:
                return repository.create_study(name=f"n{number}", spec="{}", spec_digest="d", seed=0).id

        with ThreadPoolExecutor(6) as threads:
            assert len(set(threads.map(make, range(6)))) == 6

    def test_a_database_of_another_program_stays_as_it_is(self, empty: str) -> None:
        run(empty, "CREATE TABLE recipes (name text)")
        for opening in (open_repository, upgrade):
            with pytest.raises(NotADatabase, match=r"belongs to another program.*'recipes'.*createdb"):
                opening(empty)

    def test_another_revision_is_told(self, url: str) -> None:
        run(url, "UPDATE alembic_version SET version_num = '0999'")
        for opening in (open_repository, upgrade):
            with pytest.raises(DatabaseTooNew, match="revision 0999"):
                opening(url)
        run(url, "UPDATE alembic_version SET version_num = '0002'")
        with pytest.raises(DatabaseTooOld, match="run `supernaut db upgrade`, after `supernaut db backup`"):
            open_repository(url)

    def test_a_migration_that_fails_changes_nothing(self, empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_point: str) -> None:
            raise RuntimeError("power cut")

        upgrade(empty)
        run(empty, *(f"DROP TABLE {name} CASCADE" for name in reversed(Base.metadata.tables)))
        run(empty, "DROP TABLE alembic_version")
        monkeypatch.setattr("runner.store.postgres.migrate", lambda _connection: fail(""))
        with pytest.raises(RuntimeError, match="power cut"):
            open_repository(empty)
        monkeypatch.undo()
        open_repository(empty).close()


class TestReaching:
    def test_a_wrong_password_is_told_without_it(self, url: str) -> None:
        wrong = secrets.token_hex(8)
        made = make_url(url)
        for given in (made.set(password=wrong), made.set(password=None, query={"password": wrong})):
            with pytest.raises(StoreUnavailable, match=r"postgresql://supernaut\S*@127\.0\.0\.1") as refused:
                open_repository(given.render_as_string(hide_password=False))
            assert wrong not in str(refused.value)
            assert str(made.password) not in str(refused.value)

    @pytest.mark.parametrize(
        "change", [{"port": 1}, {"database": "none"}, {"username": "none"}, {"host": "none.invalid"}]
    )
    def test_what_is_not_there_is_told(self, url: str, change: dict[str, object]) -> None:
        made = make_url(url).set(**change)
        with pytest.raises(StoreUnavailable, match="check") as refused:
            open_repository(made.render_as_string(hide_password=False))
        assert str(make_url(url).password) not in str(refused.value)

    def test_a_repository_says_where_it_is_without_its_password(self, url: str, opened: Repository) -> None:
        assert opened.place == url.replace(str(make_url(url).password), "***")
        assert str(make_url(url).password) not in repr(opened._engine)

    def test_a_user_who_may_not_write_is_told(self, cluster: Cluster, url: str) -> None:
        name = f"reader_{secrets.token_hex(4)}"
        cluster.execute(f"CREATE USER {name} PASSWORD 'r'")
        run(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
        reader = make_url(url).set(username=name, password="r").render_as_string(hide_password=False)
        with open_repository(reader) as repository:
            assert repository.studies() == ()
            with pytest.raises(StoreUnavailable, match="refuses this user"):
                repository.create_study(name="n", spec="{}", spec_digest="d", seed=0)


class TestTrouble:
    def test_what_text_cannot_hold_is_refused(self, opened: Repository) -> None:
        for name in ("a\x00b", "a\udcff"):
            with pytest.raises(InvalidRecord, match="cannot be recorded"):
                opened.create_study(name=name, spec="{}", spec_digest="d", seed=0)

    def test_connections_that_were_lost_while_nobody_used_them_are_not_noticed(
        self, cluster: Cluster, url: str, opened: Repository
    ) -> None:
        made = opened.create_study(name="n", spec="{}", spec_digest="d", seed=0)
        for _ in range(3):
            assert cluster.kill_sessions(url) >= 1
            assert opened.study("n") == made
            opened.add_event(made.id, "note")

    def test_one_that_is_lost_within_a_transaction_writes_nothing(
        self, cluster: Cluster, url: str, opened: Repository
    ) -> None:
        made = opened.create_study(name="n", spec="{}", spec_digest="d", seed=0)
        lost = pytest.raises(StoreUnavailable, match="repeat: nothing recorded")
        with lost, opened._writing("add_event") as connection:
            connection.execute(text("UPDATE study SET notes = 'lost'"))
            cluster.kill_sessions(url)
            connection.execute(text("UPDATE study SET notes = 'lost too'"))
        assert opened.study("n") == made

    @pytest.mark.parametrize("committed", [True, False])
    def test_of_a_commit_whose_answer_was_lost_the_fate_is_found_out(
        self, cluster: Cluster, url: str, opened: Repository, monkeypatch: pytest.MonkeyPatch, committed: bool
    ) -> None:
        """The session dies right after the server has committed, or right before; the client sees the same."""
        dialect = opened._engine.dialect
        commit = dialect.do_commit
        lost = []

        def lose(connection: object) -> None:
            if not lost:
                lost.append(connection)
                if committed:
                    commit(connection)
                cluster.kill_sessions(url)
                if committed:
                    connection.execute("SELECT 1")  # type: ignore[attr-defined]
            commit(connection)

        made = opened.create_study(name="n", spec="{}", spec_digest="d", seed=0)
        monkeypatch.setattr(dialect, "do_commit", lose)
        if committed:
            assert opened.add_event(made.id, "note").sequence == 2
        else:
            with pytest.raises(StoreUnavailable, match="repeat: nothing recorded"):
                opened.add_event(made.id, "note")
        assert lost
        assert len(opened.events(made.id)) == (2 if committed else 1)

    def test_a_fate_that_nobody_can_tell_is_called_unknown(
        self, url: str, opened: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sqlalchemy.exc import OperationalError

        monkeypatch.setattr(transactions, "_FATE_PATIENCE_S", 0.0)
        lost = OperationalError("COMMIT", {}, RuntimeError("lost"))
        with pytest.raises(StoreUnavailable, match="look whether the last change is there"):
            opened._was_committed("18446744073709551615", lost)

    def test_a_row_that_another_holds_is_waited_for_but_not_for_ever(self, url: str) -> None:
        with open_repository(url, busy_timeout_ms=100) as hasty, open_repository(url) as other:
            made = other.create_study(name="n", spec="{}", spec_digest="d", seed=0)
            with other._writing("add_event") as connection:
                connection.execute(text("UPDATE study SET notes = notes"))
                assert hasty.study("n") == made  # reading goes on
                with pytest.raises(StoreUnavailable, match="locked by another process"):
                    hasty.add_event(made.id, "note")
            assert hasty.add_event(made.id, "note").sequence == 2

    def test_all_connections_in_use_is_told(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("runner.store.postgres._CONNECTIONS", 1)
        monkeypatch.setattr("runner.store.postgres._MORE_CONNECTIONS", 0)
        with open_repository(url, busy_timeout_ms=100) as repository:
            with (
                repository._reading(),
                pytest.raises(StoreUnavailable, match="all connections of this process are in use"),
            ):
                repository.studies()
            assert repository.studies() == ()

    def test_a_database_that_takes_no_changes_is_told(self, cluster: Cluster, url: str) -> None:
        cluster.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
        with open_repository(url) as repository:
            assert repository.studies() == ()
            with pytest.raises(StoreUnavailable, match="takes no changes now"):
                repository.create_study(name="n", spec="{}", spec_digest="d", seed=0)

    def test_tables_that_somebody_dropped_are_told(self, url: str, opened: Repository) -> None:
        run(url, "DROP TABLE token")
        with pytest.raises(NotADatabase, match="has changed its tables"):
            opened.tokens()

    @pytest.mark.slow
    def test_a_server_that_ends_and_begins_again(self, cluster: Cluster, url: str, opened: Repository) -> None:
        made = opened.create_study(name="n", spec="{}", spec_digest="d", seed=0)
        cluster.stop(signal.SIGINT)
        try:
            for call in (opened.studies, lambda: opened.add_event(made.id, "note")):
                with pytest.raises(StoreUnavailable, match="cannot be reached or ended the connection"):
                    call()
        finally:
            cluster.start()
        assert opened.add_event(made.id, "note").sequence == 2


class TestTogether:
    def test_threads_number_without_gaps(self, opened: Repository) -> None:
        study = opened.create_study(name="n", spec="{}", spec_digest="d", seed=0)
        other = opened.create_study(name="o", spec="{}", spec_digest="d", seed=0)

        def write(name: str) -> None:
            for number in range(10):
                opened.record_evaluation(study.id, an_evaluation(f"{name}-{number}"))
                opened.add_event((study, other)[number % 2].id, "note")

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(write, "abcdefgh"))
        assert [each.sequence for each in opened.evaluations(study.id)] == list(range(1, 81))
        events = opened.events_after(0, limit=1000)
        assert [each.number for each in events] == list(range(1, 83))
        for each in (study, other):
            assert [event.sequence for event in opened.events(each.id)] == list(range(1, 42))

    def test_who_reads_events_while_they_are_written_misses_none(self, opened: Repository) -> None:
        studies = [opened.create_study(name=f"n{i}", spec="{}", spec_digest="d", seed=0) for i in range(4)]
        done = threading.Event()
        seen: list[int] = []

        def read() -> None:
            while True:
                last = done.is_set()
                seen.extend(each.number for each in opened.events_after(seen[-1] if seen else 0, limit=100))
                if last:
                    return

        def write(study_id: str) -> None:
            for _ in range(25):
                opened.add_event(study_id, "note")

        reader = threading.Thread(target=read)
        reader.start()
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, [each.id for each in studies]))
        done.set()
        reader.join()
        assert seen == list(range(1, 105))

    def test_a_name_is_taken_once_however_many_want_it(self, opened: Repository) -> None:
        def create(number: int) -> bool:
            try:
                opened.create_study(name="n", spec="{}", spec_digest=str(number), seed=0)
            except StudyExists:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(create, range(16))) == 1
            assert sum(threads.map(lambda _: opened.begin_idempotent("o", "k", "0" * 64) is None, range(1))) == 1
            made = threads.map(lambda _: opened.ensure_device("laptop", name="laptop", description={}), range(16))
            assert len(set(map(str, made))) == 1


def test_psycopg_is_imported_only_when_postgresql_is_opened(tmp_path: Path) -> None:
    program = (
        "import sys; from runner.store import open_repository;"
        f"open_repository({str(tmp_path / 'record.sqlite3')!r}).close();"
        "assert 'psycopg' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])
