"""Checking, copying and restoring a record, in both databases, and the verbs that do it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from runner.cli.main import app
from runner.store import NotADatabase, NotRecorded, RecordExists, StoreUnavailable, open_repository
from runner.store.schema import newest_revision
from runner.store.upkeep import back_up, check, restore
from tests.runner.store.examples import a_measurement, a_reservation, an_artifact, an_evaluation
from tests.runner.store.test_migrations import OLD_RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.postgres import Cluster

NEWEST = newest_revision()


def fill(location: str) -> None:
    """Something of each kind."""
    with open_repository(location) as repository:
        repository.ensure_device("laptop", name="laptop", description={})
        study = repository.create_study(name="digits", spec="{}", spec_digest="d", seed=0, stages=("train",)).id
        for digest in ("a", "b"):
            repository.record_evaluation(study, an_evaluation(digest))
        repository.reserve(study, a_reservation("c"), owner="me", lease_seconds=60, budget=None)
        repository.record_measurement(study, a_measurement())
        repository.record_artifact(study, an_artifact())
        repository.create_job(study, "export", {"point": "knee"})


def everything(location: str) -> list[object]:
    with open_repository(location) as repository:
        (study,) = repository.studies()
        return [
            study,
            repository.stages(study.id),
            repository.evaluations(study.id),
            repository.reservations(study.id),
            repository.measurements(study.id),
            repository.artifacts(study.id),
            repository.jobs(study.id),
            repository.events_after(0, limit=100),
            repository.devices(),
        ]


@pytest.fixture(autouse=True)
def _programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore of the server's version."""
    if "postgresql" in request.node.name:
        cluster: Cluster = request.getfixturevalue("cluster")
        monkeypatch.setenv("PATH", str(cluster.programs), prepend=":")


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, location: str, tmp_path: Path) -> str:
    """A place without a record, in the same kind of database."""
    if location.startswith("postgresql"):
        made: str = request.getfixturevalue("cluster").make(template="template0")
        return made
    return str(tmp_path / "new home" / "record.sqlite3")


class TestCopies:
    def test_a_copy_restored_elsewhere_is_the_same_record(self, location: str, elsewhere: str, tmp_path: Path) -> None:
        fill(location)
        with open_repository(location) as others:  # somebody goes on using it
            made = back_up(location, tmp_path / "monday")
            before = everything(location)
            others.create_study(name="later", spec="{}", spec_digest="d", seed=0)
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
        assert restore(elsewhere, made) == NEWEST
        assert everything(elsewhere) == before
        assert check(elsewhere).problems == ()
        with open_repository(elsewhere) as repository:  # numbering goes on behind what is there
            study = repository.study("digits").id
            assert repository.record_evaluation(study, an_evaluation("d"))[0].sequence == 3
            repository.add_event(study, "note")

    def test_nothing_is_overwritten(self, location: str, elsewhere: str, tmp_path: Path) -> None:
        fill(location)
        copy = back_up(location, tmp_path / "monday")
        content = copy.read_bytes()
        with pytest.raises(RecordExists, match="monday exists already"):
            back_up(location, copy)
        assert copy.read_bytes() == content
        before = everything(location)
        with pytest.raises(RecordExists, match="already"):
            restore(location, copy)
        assert everything(location) == before

    def test_what_is_no_copy_is_refused_and_leaves_nothing(self, location: str, elsewhere: str, tmp_path: Path) -> None:
        fill(location)
        whole = back_up(location, tmp_path / "monday").read_bytes()
        half = tmp_path / "half"
        half.write_bytes(whole[: len(whole) // 2])
        other = tmp_path / "other"
        other.write_bytes(b"something else")
        for path in (half, other):
            with pytest.raises((NotADatabase, StoreUnavailable)):
                restore(elsewhere, path)
        with pytest.raises(NotRecorded, match="no such copy"):
            restore(elsewhere, tmp_path / "none")
        assert restore(elsewhere, tmp_path / "monday") == NEWEST  # still empty, so that it can be made

    def test_a_folder_that_cannot_be_written_is_told(self, location: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder", encoding="utf-8")
        with pytest.raises(StoreUnavailable, match="the copy cannot be made"):
            back_up(location, tmp_path / "file" / "copy")


class TestPostgresPrograms:
    def test_without_them_one_is_told(self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        url = cluster.make()
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StoreUnavailable, match="pg_dump is not found; install"):
            back_up(url, tmp_path / "copy")
        assert list(tmp_path.iterdir()) == []

    def test_what_they_say_holds_no_password(
        self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(cluster.programs))
        with pytest.raises(StoreUnavailable, match="pg_dump failed: pg_dump: error") as failed:
            back_up(cluster.url("none"), tmp_path / "copy")
        assert cluster.password not in str(failed.value)
        assert list(tmp_path.iterdir()) == []


class TestCheck:
    def test_a_whole_record_has_no_problem(self, location: str) -> None:
        fill(location)
        found = check(location)
        assert (found.revision, found.newest, found.problems) == (NEWEST, NEWEST, ())

    @pytest.mark.parametrize(
        ("statement", "problem"),
        [
            ("UPDATE evaluation SET sequence = 7 WHERE digest = 'b'", "evaluations of a study are numbered with gaps"),
            ("UPDATE event SET sequence = 70 WHERE sequence = 1", "events of a study are numbered with gaps"),
            ("UPDATE counter SET value = 0", "the counter of events is behind them"),
            ("UPDATE reservation SET digest = 'a'", "recorded and still reserved: a"),
            ("UPDATE value SET best = false", "not exactly one counts"),
        ],
    )
    def test_a_broken_rule_is_a_problem(self, location: str, statement: str, problem: str) -> None:
        fill(location)
        with open_repository(location) as repository, repository._engine.begin() as connection:
            connection.execute(text(statement))
        (found,) = check(location).problems
        assert problem in found

    def test_a_file_with_damage(self, path: Path) -> None:
        fill(str(path))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("DELETE FROM study")
        assert any("points nowhere" in problem for problem in check(path).problems)

    def test_where_there_is_no_record_none_is_made(self, path: Path) -> None:
        for call in (lambda: check(path), lambda: back_up(path, path.with_name("copy"))):
            with pytest.raises(NotRecorded, match="no record here yet"):
                call()
        assert list(path.parent.iterdir()) == []


class TestVerbs:
    @pytest.fixture
    def call(self, location: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
        def run(*arguments: str, at: str = location) -> tuple[int, str]:
            monkeypatch.setenv("SUPERNAUT_DATABASE_URL", at)
            done = CliRunner().invoke(app, ["db", *arguments])
            return done.exit_code, done.output + (str(done.exception) if done.exception else "")

        return run

    def test_from_check_to_restore(
        self, call: Callable[..., tuple[int, str]], location: str, elsewhere: str, tmp_path: Path
    ) -> None:
        fill(location)
        copy = tmp_path / "monday"
        for arguments, at, code, words in (
            (("upgrade",), location, 0, "nothing to do"),
            (("check",), location, 0, "whole"),
            (("backup", str(copy)), location, 0, "bytes"),
            (("backup", str(copy)), location, 1, "exists already"),
            (("restore", str(copy)), location, 1, "already"),
            (("restore", str(tmp_path / "none")), elsewhere, 1, "no such copy"),
            (("restore", str(copy)), elsewhere, 0, f"revision {NEWEST}"),
        ):
            found, output = call(*arguments, at=at)
            assert (found, words in output) == (code, True), (arguments, output)
            assert ":postgres@" not in output
        assert everything(elsewhere) == everything(location)

    def test_a_problem_is_exit_code_6(self, call: Callable[..., tuple[int, str]], location: str) -> None:
        fill(location)
        with open_repository(location) as repository, repository._engine.begin() as connection:
            connection.execute(text("UPDATE counter SET value = 0"))
        code, output = call("check")
        assert code == 6
        assert "PROBLEM  the counter of events is behind them" in output

    def test_an_old_record_is_upgraded_and_an_old_copy_restored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3"
        with closing(sqlite3.connect(old)) as connection:
            connection.executescript(OLD_RECORDS["0002"].read_text(encoding="utf-8"))
        for at, arguments, words in (
            (new, ("restore", str(old)), "revision 0002\nit was made by an older version"),
            (new, ("check",), "PROBLEM  it has revision 0002"),
            (old, ("upgrade",), f"from revision 0002 to {NEWEST}\nas it was before: {old}.0002."),
            (old, ("check",), "whole"),
        ):
            monkeypatch.setenv("SUPERNAUT_DATABASE_URL", str(at))
            output = CliRunner().invoke(app, ["db", *arguments]).output
            assert words in output.replace(" (", "("), (arguments, output)
