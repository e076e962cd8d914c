"""Studies under faults: driver and workers killed, Ctrl-C, death at each commit, a full disk, a locked record."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.front import read_front
from runner.settings import Home
from runner.store import open_repository
from tests.integration.record import check_invariants, rows, scores
from tests.integration.studies import PARALLEL, ROOT, UNTIMED, environment, supernaut, write
from tests.runner.parallel.processes import Marked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc, which this system lacks"),
]

OF_ALL = f"/{PARALLEL['search']['evaluations']}"  # what the progress of the search says, and that of no other stage


class Driver:
    """A study in a process group of its own, whose standard error can be waited for."""

    def __init__(self, home: Path, file: Path) -> None:
        self.marked = Marked()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner.cli.main", "run", str(file)],
            cwd=ROOT,
            env={**environment(home), **self.marked.environment, "SUPERNAUT_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, words: str) -> None:
        assert self.process.stderr is not None
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if words in line:
                return
        raise AssertionError(f"ended before it said {words!r}: {''.join(lines)}")

    def end(self) -> tuple[int, str]:
        _, rest = self.process.communicate(timeout=120)
        return self.process.returncode, rest


def finish(home: Path, file: Path, name: str) -> None:
    """The same command again, to the end."""
    before = rows(home, name)
    done = supernaut(home, "run", str(file))
    assert done.returncode == 0, done.stderr
    after = rows(home, name)
    assert after[: len(before)] == before, "an acknowledged evaluation was lost or changed"
    with open_repository(Home(home).database) as repository:
        check_invariants(repository, name)
        assert not repository.reservations(repository.study(name).id)
    assert sum(row.fidelity == "inherited" for row in after) == PARALLEL["search"]["evaluations"]


def test_the_driver_is_killed_in_the_middle_of_a_search(tmp_path: Path) -> None:
    home, file = tmp_path / "home", write(tmp_path / "s.json", PARALLEL)
    driver = Driver(home, file)
    driver.wait_for("[3/6] search")
    driver.wait_for(OF_ALL)
    os.kill(driver.process.pid, signal.SIGKILL)
    driver.end()
    driver.marked.check_none_left()
    finish(home, file, "parallel")


def test_workers_are_killed_and_the_study_goes_on(tmp_path: Path) -> None:
    home, file = tmp_path / "home", write(tmp_path / "s.json", PARALLEL)
    driver = Driver(home, file)
    driver.wait_for("[2/6] profile")
    killed: set[int] = set()
    deadline = time.monotonic() + 60
    while len(killed) < 3 and driver.process.poll() is None and time.monotonic() < deadline:
        for pid in set(driver.marked.named("ray::Worker")) - killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
                break
        time.sleep(0.7)
    status, said = driver.end()
    assert len(killed) == 3
    assert status == 0, said
    driver.marked.check_none_left()
    with open_repository(Home(home).database) as repository:
        check_invariants(repository, "parallel")
        assert repository.study("parallel").state == "complete"
    found = [row.state for row in rows(home, "parallel") if row.fidelity == "inherited"]
    assert found == ["complete"] * PARALLEL["search"]["evaluations"]


def test_ctrl_c_drains_and_leaves_nobody(tmp_path: Path) -> None:
    home, file = tmp_path / "home", write(tmp_path / "s.json", PARALLEL)
    driver = Driver(home, file)
    driver.wait_for("[3/6] search")
    driver.wait_for(OF_ALL)
    os.killpg(driver.process.pid, signal.SIGINT)
    status, said = driver.end()
    assert status == 130, said
    assert "Traceback" not in said
    driver.marked.check_none_left()
    with open_repository(Home(home).database) as repository:
        study = repository.study("parallel")
        assert study.state == "interrupted"
        assert not repository.reservations(study.id), "a drained search leaves nothing under way"
        check_invariants(repository, "parallel")
    assert all(row.attempt == 1 for row in rows(home, "parallel"))
    finish(home, file, "parallel")


# In the order in which a study comes to them; the third attempt at an evaluation must not be the last one.  A few of
# all commits, since each costs the start of a process: tests/runner/store/test_commits.py dies at every one.
COMMITS = (
    ("create_study.after_commit", 1),
    ("take_over.after_commit", 1),
    ("reserve.after_commit", 3),
    ("settle.before_commit", 1),
    ("settle.after_commit", 9),
    ("transition_stage.after_commit", 2),
    ("record_artifact.before_commit", 1),
    ("transition_study.before_commit", 2),
)


def test_killed_at_one_commit_after_the_other_it_ends_as_the_uninterrupted_one(tmp_path: Path) -> None:
    spec = {**UNTIMED, "train": {**UNTIMED["train"], "steps": 20}}
    file = write(tmp_path / "s.json", spec)
    done = supernaut(tmp_path / "whole", "run", str(file), fresh=True)
    assert done.returncode == 0, done.stderr
    home = tmp_path / "home"
    for point, hit in COMMITS:
        before = rows(home, "untimed") if known(home) else []
        died = supernaut(home, "run", str(file), SUPERNAUT_FAULT=f"{point}:{hit}:kill")
        assert died.returncode == -signal.SIGKILL, f"{point} was not reached: {died.stderr}"
        if known(home):
            assert rows(home, "untimed")[: len(before)] == before
            with open_repository(Home(home).database) as repository:
                check_invariants(repository, "untimed")
    done = supernaut(home, "run", str(file))
    assert done.returncode == 0, done.stderr
    assert scores(home, "untimed") == scores(tmp_path / "whole", "untimed")
    with open_repository(Home(home).database) as repository:
        check_invariants(repository, "untimed")
    assert front_of(home) == front_of(tmp_path / "whole")


def front_of(home: Path) -> list[str]:
    with open_repository(Home(home).database) as repository:
        return [point.architecture.to_json() for point in read_front(repository.study("untimed"), repository).points]


def known(home: Path) -> bool:
    """Whether the study was recorded."""
    if not Home(home).database.exists():
        return False
    with open_repository(Home(home).database) as repository:
        return bool(repository.studies())


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    home, file = tmp_path / "home", write(tmp_path / "s.json", UNTIMED)
    done = supernaut(home, "run", str(file), SUPERNAUT_FAULT="settle.before_commit:3:disk_full")
    assert done.returncode == 0, done.stderr
    assert "waiting for the record" in done.stderr
    assert "the record can be used again" in done.stderr
    assert all(row.attempt == 1 for row in rows(home, "untimed"))


def test_a_locked_record_is_waited_for(tmp_path: Path) -> None:
    home, file = tmp_path / "home", write(tmp_path / "s.json", UNTIMED)
    driver = Driver(home, file)
    driver.wait_for("[2/6] profile")
    other = sqlite3.connect(Home(home).database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    driver.wait_for("waiting for the record")
    other.execute("ROLLBACK")
    other.close()
    status, said = driver.end()
    assert status == 0, said
    assert len([row for row in rows(home, "untimed") if row.fidelity == "inherited"]) == 16


def test_an_architecture_that_kills_the_process_is_set_aside(tmp_path: Path) -> None:
    """Three runs die in the same evaluation; the fourth records it as lost and goes on."""
    home, file = tmp_path / "home", write(tmp_path / "s.json", UNTIMED)
    for _ in range(3):
        died = supernaut(home, "run", str(file), SUPERNAUT_FAULT="reserve.after_commit:1:kill")
        assert died.returncode == -signal.SIGKILL, died.stderr
    done = supernaut(home, "run", str(file))
    assert done.returncode == 0, done.stderr
    failed = [row for row in rows(home, "untimed") if row.state == "failed"]
    assert [(row.attempt, row.failure.kind) for row in failed if row.failure] == [(3, "worker_lost")]
    assert "set aside after 3 attempts" in done.stderr
    assert sum(row.fidelity == "inherited" for row in rows(home, "untimed")) == 16
