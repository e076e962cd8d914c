"""A search whose processes are killed: nothing acknowledged is lost, nothing counts twice, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.search import SearchResult, pose
from tests.integration.studies import ROOT
from tests.runner.parallel.clusters import cluster
from tests.runner.parallel.driver import OBJECTIVES, Record
from tests.runner.parallel.processes import Marked, wait_until
from tests.runner.search.spaces import cost, error, layered_space

if TYPE_CHECKING:
    from search_spaces import Architecture

pytestmark = pytest.mark.slow

EVALUATIONS = 11
SECONDS = 0.5  # for one evaluation
FIRST = 3  # evaluations before the fault


class Search:
    """A driver, what it recorded, and all processes that belong to it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.path = folder / "record.jsonl"
        self.log = folder / "log"
        self.variables = variables
        self.before: list[Architecture] = []
        self.abandons_files = False  # where the guardian dies with the driver, the next Ray removes them later

    def start(self, workers: str = "2", seconds: float = SECONDS, evaluations: int = EVALUATIONS) -> None:
        self.marked = Marked(**self.variables)
        arguments = [str(self.path), workers, str(evaluations), str(seconds)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.runner.parallel.driver", *arguments],
                cwd=ROOT,
                env=self.marked.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def record(self) -> Record:
        return Record(self.path)

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, evaluations: int) -> None:
        """Wait until so many are acknowledged; remember them."""

        def reached() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.said}"
            return len(self.record.evaluations) >= evaluations

        wait_until(reached, 60.0, lambda: f"only {len(self.record.evaluations)} evaluations: {self.said}")
        self.before = [e.architecture for e in self.record.evaluations]
        self.marked.processes()

    def kill(self, name: str) -> None:
        """kill -9 the first process with this in its command line."""
        pids = self.marked.named(name)
        assert pids, f"no {name} among {self.marked.processes()}"
        os.kill(pids[0], signal.SIGKILL)

    def ended(self, *codes: int) -> None:
        """Wait for the end of the driver; check its code and that no process is left."""
        self.process.wait(90)
        assert self.process.returncode in codes, self.said
        self.marked.check_none_left()
        if not self.abandons_files:
            assert not list(self.path.parent.glob("supernaut-ray-*")), "files are left"

    def check(self, *, evaluations: int = EVALUATIONS) -> None:
        """Everything that must hold once a search is over, however often it was disturbed."""
        found = self.record.evaluations
        architectures = [e.architecture for e in found]
        assert architectures[: len(self.before)] == self.before, "an acknowledged evaluation was lost"
        assert len(architectures) == len(set(architectures)), "an evaluation counts twice"
        assert len(found) == evaluations, "the budget was not kept"
        assert self.record.pending == {}
        for evaluation in found:
            expected = {"error": error(evaluation.architecture), "cost": cost(evaluation.architecture)}
            assert dict(evaluation.values) == expected
        submitted = [(e["architecture"], e["attempt"]) for e in self.record.events if e["kind"] == "submit"]
        assert len(submitted) == len(set(submitted)), "an attempt was made twice"
        assert max(attempt for _, attempt in submitted) <= 3
        problem = pose(layered_space(), OBJECTIVES)
        front = SearchResult(problem=problem, evaluations=tuple(found), reason="evaluations").front
        points = [problem.oriented(e.values) for e in found]
        assert {e.architecture for e in front} == {
            e.architecture
            for e, point in zip(found, points, strict=True)
            if not any(all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in points)
        }


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path: Ray's sockets lie deep in it."""
    with tempfile.TemporaryDirectory(prefix="sn-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def search(folder: Path) -> Iterator[Search]:
    started = Search(folder, TMPDIR=str(folder))
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.marked.check_none_left()


@pytest.mark.parametrize("process", ["ray::Worker", "raylet/raylet", "gcs_server", "guardian.py"])
def test_a_process_of_ray_is_killed_and_the_search_goes_on(search: Search, process: str) -> None:
    """One worker; the manager of the node; the head; and the one that watches over them."""
    search.start()
    search.until(FIRST)
    driver = search.process.pid
    search.kill(process)
    search.ended(0)
    search.check()
    assert search.said == ""
    attempts = {e.attempt for e in search.record.evaluations}
    assert attempts <= {1, 2}
    assert {e["driver"] for e in search.record.events if e["kind"] == "started"} == {driver}


def test_the_driver_is_killed_and_the_same_command_goes_on(search: Search) -> None:
    search.start()
    search.until(FIRST)
    search.process.kill()
    search.ended(-signal.SIGKILL)
    lost = search.record.pending
    assert 1 <= len(lost) <= 2
    search.start("serial")
    search.ended(0)
    search.check()
    finished = {e.architecture: e.attempt for e in search.record.evaluations}
    assert {architecture: finished[architecture] for architecture in lost} == {
        architecture: attempts + 1 for architecture, attempts in lost.items()
    }


def test_everything_is_killed_at_once_again_and_again(search: Search) -> None:
    """As when the power fails. With one worker the result is the one of a search that nobody disturbed."""
    search.abandons_files = True
    for _ in range(2):
        search.start("1", seconds=0.2)
        search.until(len(search.before) + 3)
        search.marked.kill_all()
        search.ended(-signal.SIGKILL)
    search.start("serial", seconds=0.0)
    search.ended(0)
    search.check()
    disturbed = search.record.evaluations
    search.path.unlink()
    search.start("serial", seconds=0.0)
    search.ended(0)
    assert search.record.evaluations == disturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_process_group_drains(search: Search, number: int) -> None:
    """As Ctrl-C in a terminal does it: what is under way ends as if nothing had happened."""
    search.start(seconds=1.0)
    search.until(2)
    under_way = set(search.record.pending)
    assert under_way
    os.killpg(search.process.pid, number)
    search.ended(0)
    found = search.record
    assert found.events[-1]["reason"] == "stopped"
    assert found.pending == {}
    assert under_way <= {e.architecture for e in found.evaluations}
    assert all((e.state, e.attempt) == ("complete", 1) for e in found.evaluations)
    assert len(found.evaluations) < EVALUATIONS
    search.start("serial", seconds=0.0)
    search.ended(0)
    search.check()


def test_a_second_signal_ends_it_at_once(search: Search) -> None:
    search.start(seconds=20.0)
    wait_until(lambda: len(search.record.pending) == 2, 60.0, lambda: search.said)
    assert len(search.marked.processes()) >= 3
    began = time.monotonic()
    os.killpg(search.process.pid, signal.SIGINT)
    time.sleep(1.0)
    os.killpg(search.process.pid, signal.SIGINT)
    search.ended(1, 130, -signal.SIGINT)
    assert time.monotonic() - began < 12.0
    assert len(search.record.pending) == 2


class TestCluster:
    """A head and a node that are not ours; one CPU each."""

    def test_a_node_is_killed_and_the_search_goes_on(self, folder: Path) -> None:
        with cluster(folder) as running:
            node = running.add_node()
            search = Search(folder, **running.variables)
            search.start()
            search.until(FIRST)
            node.kill()
            node.wait()
            search.ended(0)
            search.check()

    def test_the_head_is_killed_and_the_search_ends_soon_and_says_why(self, folder: Path) -> None:
        with cluster(folder) as running:
            running.add_node()
            search = Search(folder, **running.variables)
            search.start(evaluations=1000)
            search.until(FIRST)
            running.head.kill()
            began = time.monotonic()
            search.ended(5)
            assert time.monotonic() - began < 45.0
            assert running.address in search.said
        search.variables = {}
        reached = len(search.record.evaluations)
        search.start("serial", seconds=0.0, evaluations=reached + 4)
        search.ended(0)
        search.check(evaluations=reached + 4)
