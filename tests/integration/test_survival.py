"""kill -9 at any stage, Ctrl-C, and the same command again: nothing committed is lost or repeated."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.settings import Home
from runner.store import open_repository
from tests.integration.record import check_invariants, rows, scores
from tests.integration.studies import ROOT, TINY, UNTIMED, environment, supernaut, write
from tests.integration.warm import warm_run

if TYPE_CHECKING:
    from runner.store import EvaluationRecord

pytestmark = pytest.mark.slow


def run_until_killed(home: Path, file: Path, stage: str, progress: int) -> None:
    killed = warm_run("tests.integration.killed_run", (str(home), str(file), stage, str(progress)), environment(home))
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def test_killed_in_one_stage_after_the_other_it_ends_as_the_uninterrupted_one(tmp_path: Path) -> None:
    file = write(tmp_path / "s.json", UNTIMED)
    home = tmp_path / "home"
    for stage, progress in (("train", 17), ("search", 4), ("retrain", 7)):
        before = rows(home, "untimed") if Home(home).database.exists() else []
        run_until_killed(home, file, stage, progress)
        assert rows(home, "untimed")[: len(before)] == before, f"lost or repeated by the run that died in {stage}"
        with open_repository(Home(home).database) as repository:
            check_invariants(repository, "untimed")
            stages = {one.name: one.state for one in repository.stages(repository.study("untimed").id)}
        assert stages[stage] == "running", stages
    before = rows(home, "untimed")
    done = supernaut(home, "run", str(file))
    assert done.returncode == 0, done.stderr
    assert rows(home, "untimed")[: len(before)] == before, "a committed evaluation changed or was repeated"
    whole = supernaut(tmp_path / "whole", "run", str(file), fresh=True)
    assert whole.returncode == 0, whole.stderr
    assert scores(home, "untimed") == scores(tmp_path / "whole", "untimed")
    with open_repository(Home(home).database) as repository:
        check_invariants(repository, "untimed")
        reasons = [event.payload.get("reason") for event in repository.events(repository.study("untimed").id)]
        assert reasons.count("its process ended without a word") == 3


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc, which this system lacks")
def test_a_timed_study_continues_and_its_timing_process_ends(tmp_path: Path) -> None:
    """Killed while it profiles, and again while it confirms."""
    file = write(tmp_path / "s.json", TINY)
    home = tmp_path / "home"
    run_until_killed(home, file, "profile", 11)
    check_no_timing_process(home)
    before = rows(home, "tiny")
    run_until_killed(home, file, "confirm", 1)
    check_no_timing_process(home)
    between = rows(home, "tiny")
    check_kept(before, between)
    done = supernaut(home, "run", str(file))
    assert done.returncode == 0, done.stderr
    after = rows(home, "tiny")
    check_kept(between, after)
    with open_repository(Home(home).database) as repository:
        check_invariants(repository, "tiny")
        kept = {(m.digest, m.settings["fidelity"]): m.p50 for m in repository.measurements(repository.study("tiny").id)}
    for row in after:
        for value in row.values:
            if value.metric == "latency_ms" and value.provenance in ("inherited", "exported"):
                known = kept.get(
                    (row.digest, row.fidelity), value.value
                )  # a kill may lose the percentiles, never the value
                assert known == value.value


def check_kept(before: list[EvaluationRecord], after: list[EvaluationRecord]) -> None:
    """Values may have been added, and rows after the others; nothing else."""
    assert before
    assert len(before) <= len(after)
    for old, new in zip(before, after, strict=False):
        assert replace(new, values=()) == replace(old, values=())
        assert set(old.values) <= set(new.values), "a committed value changed"


def check_no_timing_process(home: Path) -> None:
    deadline = time.monotonic() + 10
    while timing_processes(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not timing_processes(home), "the timing process outlived its parent"


def timing_processes(home: Path) -> list[int]:
    """Timing processes that were started with this state folder in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes()
                started_with = (folder / "environ").read_bytes()
            except OSError:
                continue
            if b"timing_worker" in command and f"SUPERNAUT_HOME={home}".encode() in started_with:
                found.append(int(folder.name))
    return found


def start(home: Path, file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", "run", str(file)],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"the process ended before it said {words!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_a_safe_point(tmp_path: Path, number: signal.Signals) -> None:
    long: dict[str, Any] = {**UNTIMED, "train": {"steps": 2000, "batch": 64}}
    home, file = tmp_path / "home", write(tmp_path / "s.json", long)
    process = start(home, file)
    wait_for(process, "[1/6] train")
    wait_for(process, "loss")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err + out
    with open_repository(Home(home).database) as repository:
        study = repository.study("untimed")
        assert study.state == "interrupted"
        assert repository.stages(study.id)[0].state == "pending"
        assert list(Home(home).study(study.id).glob("supernet/step-*.safetensors"))


def test_two_processes_do_not_run_one_study(tmp_path: Path) -> None:
    long: dict[str, Any] = {**UNTIMED, "train": {"steps": 2000, "batch": 64}}
    home, file = tmp_path / "home", write(tmp_path / "s.json", long)
    first = start(home, file)
    try:
        wait_for(first, "loss")
        second = supernaut(home, "run", str(file))
        assert second.returncode == 4
        assert f"process {first.pid}" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        first.kill()
        first.communicate()
