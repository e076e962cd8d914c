"""Every transaction that writes: it happens wholly or not at all, whatever happens to the process or the disk."""

from __future__ import annotations

import ast
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

import runner.store
from runner.faults import POINTS, VARIABLE, WRITES, forget_hits
from runner.store import StoreUnavailable, open_repository, upgrade
from tests.runner.store.locks import locked_by_a_process
from tests.runner.store.test_migrations import FIRST_RECORD
from tests.runner.store.writes import STUDY, WRITERS, contents, frozen, prepare, write

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "record.sqlite3"
    prepare(path)
    return path


@pytest.fixture(scope="module")
def written(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """What the record consists of after each of the calls."""
    after = {}
    for method in WRITERS:
        path = tmp_path_factory.mktemp("written") / "record.sqlite3"
        shutil.copy(prepared, path)
        write(path, method)
        after[method] = contents(path)
    return after


def test_the_list_of_writes_is_that_of_the_methods_that_write() -> None:
    found = []
    for path in Path(runner.store.__path__[0]).glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "self._writing":
                    assert [ast.unparse(argument) for argument in call.args] == [repr(function.name)]
                    found.append(function.name)
    assert sorted(found) == sorted(WRITES) == sorted(WRITERS)


def test_each_of_the_calls_changes_something(prepared: Path, written: dict[str, dict[str, list[str]]]) -> None:
    same = {method for method, after in written.items() if after == contents(prepared)}
    assert same == {"renew_study", "renew_job"}  # they change a time of the database's clock, and nothing else


@pytest.mark.slow
def test_a_process_killed_at_any_commit_leaves_all_or_nothing(
    prepared: Path, written: dict[str, dict[str, list[str]]], tmp_path: Path
) -> None:
    points = [point for point in POINTS if not point.startswith("upgrade.")]
    for point in points:
        shutil.copy(prepared, tmp_path / point)
    done = subprocess.run(
        [sys.executable, "-m", "tests.runner.store.writes"],
        input="".join(f"{tmp_path / point} {point.split('.')[0]} {point}:1:kill\n" for point in points),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["-9"] * len(points), done.stderr
    for point in points:
        method, moment = point.split(".")
        if moment == "before_commit":
            assert contents(tmp_path / point) == contents(prepared), point
            write(tmp_path / point, method)
        assert contents(tmp_path / point) == written[method], point


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_an_upgrade_killed_at_its_commit_is_done_or_not(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "record.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RECORD.read_text(encoding="utf-8"))
    before = contents(path)
    done = subprocess.run(
        [sys.executable, "-c", f"from runner.store import upgrade; upgrade({str(path)!r})"],
        env={**os.environ, VARIABLE: f"upgrade.{moment}:1:kill"},
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == -9
    if moment == "before_commit":
        assert contents(path) == before
        upgrade(path)
    assert "reservation" in contents(path)
    assert upgrade(path).backup is None


@pytest.mark.parametrize("method", WRITERS)
def test_a_disk_that_is_full_at_the_commit(
    prepared: Path,
    written: dict[str, dict[str, list[str]]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    """After the commit it is somebody else's disk that is full: StoreUnavailable would say that nothing is written."""
    shutil.copy(prepared, path)
    forget_hits()
    monkeypatch.setenv(VARIABLE, f"{method}.before_commit:1:disk_full")
    with pytest.raises(StoreUnavailable, match="disk is full"):
        write(path, method)
    assert contents(path) == contents(prepared)
    monkeypatch.setenv(VARIABLE, f"{method}.after_commit:1:disk_full")
    with pytest.raises(OSError, match="No space left"):
        write(path, method)
    assert contents(path) == written[method]


@pytest.mark.parametrize("method", WRITERS)
def test_ctrl_c_at_the_commit(
    prepared: Path,
    written: dict[str, dict[str, list[str]]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    shutil.copy(prepared, path)
    forget_hits()
    for moment, expected in (("before_commit", contents(prepared)), ("after_commit", written[method])):
        monkeypatch.setenv(VARIABLE, f"{method}.{moment}:1:interrupt")
        with pytest.raises(KeyboardInterrupt):
            write(path, method)
        assert contents(path) == expected


@pytest.mark.parametrize("method", WRITERS)
def test_a_lock_held_for_longer_than_the_patience(
    prepared: Path, written: dict[str, dict[str, list[str]]], path: Path, method: str
) -> None:
    shutil.copy(prepared, path)
    with open_repository(path, now=frozen, busy_timeout_ms=20) as repository:
        study = repository.study(STUDY).id
        with locked_by_a_process(path):
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match=r"locked by another process.*then repeat"):
                    WRITERS[method](repository, study)
            assert repository.study(STUDY).id == study  # reading goes on
            with open_repository(path) as another:
                assert len(another.reservations(study)) == 2
        assert contents(path) == contents(prepared)
        WRITERS[method](repository, study)
    assert contents(path) == written[method]


@pytest.mark.slow
def test_a_lock_held_for_five_seconds_is_waited_for(
    prepared: Path, written: dict[str, dict[str, list[str]]], path: Path
) -> None:
    shutil.copy(prepared, path)
    with locked_by_a_process(path) as holder:
        release = threading.Timer(5.0, holder.release)
        release.start()
        began = time.monotonic()
        write(path, "settle")
        assert 4.5 < time.monotonic() - began < 10.0
        release.join()
    assert contents(path) == written["settle"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["limit", "disk"])
def test_a_disk_that_is_really_full(prepared: Path, tmp_path: Path, way: str) -> None:
    """See full_disk.py, which does it in a process of its own."""
    command = [sys.executable, "-m", "tests.runner.store.full_disk", way, str(prepared), str(tmp_path)]
    if way == "disk":
        own_mounts = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
        mount = f"mount -t tmpfs -o size=4m tmpfs '{tmp_path}'"
        tried = subprocess.run([*own_mounts, mount], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            pytest.skip(f"no right to mount a small disk here (the file limit is tested): {tried.stderr.strip()}")
        command = [*own_mounts, f'{mount} && exec "$@"', "sh", *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused = done.stdout.split()
    # SQLite may find room for a small change in the part of its log that it has already.
    assert set(refused) <= set(WRITERS)
    assert len(refused) >= len(WRITERS) // 2, refused
