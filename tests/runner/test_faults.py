from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import faults
from runner.faults import ACTIONS, POINTS, VARIABLE, WRITES, FaultError, check, fault, forget_hits
from runner.store import open_repository

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _from_the_first_hit() -> None:
    forget_hits()


def test_without_the_variable_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv(VARIABLE, raising=False)
        else:
            monkeypatch.setenv(VARIABLE, value)
        check()
        for point in POINTS:
            fault(point)
    assert not faults._hits


def test_every_writing_method_has_both_points() -> None:
    assert len(set(POINTS)) == len(POINTS) == 2 * (len(WRITES) + 1)
    assert {"settle.before_commit", "settle.after_commit", "upgrade.before_commit"} <= set(POINTS)


def test_only_the_wanted_hit_of_the_wanted_point_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "settle.after_commit:3:disk_full")
    for _ in range(2):
        fault("settle.after_commit")
        fault("settle.before_commit")
        fault("reserve.after_commit")
    with pytest.raises(OSError, match="No space left") as full:
        fault("settle.after_commit")
    assert full.value.errno == errno.ENOSPC
    fault("settle.after_commit")
    forget_hits()
    fault("settle.after_commit")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("settle.after_commit", "it must be POINT:HIT:ACTION, such as"),
        ("settle.after_commit:1:kill:now", "it must be POINT:HIT:ACTION, such as"),
        ("settle.after_comit:1:kill", r"no point 'settle.after_comit'; allowed: .*settle\.after_commit"),
        ("settle.after_commit:0:kill", "the hit is '0'; it must be a whole number from 1"),
        ("settle.after_commit:-1:kill", "the hit is '-1'"),
        ("settle.after_commit::kill", "the hit is ''"),
        ("settle.after_commit:²:kill", "the hit is '²'"),
        ("settle.after_commit:1:explode", "no action 'explode'; allowed: kill, term, interrupt, disk_full"),
    ],
)
def test_what_could_never_happen_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, message: str
) -> None:
    monkeypatch.setenv(VARIABLE, given)
    for call in (check, lambda: fault("reserve.after_commit"), lambda: open_repository(tmp_path / "record.sqlite3")):
        with pytest.raises(FaultError, match=message):
            call()
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_refuses_it_with_its_usage_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli.main", "--home", str(tmp_path), "list"],
        env={**os.environ, VARIABLE: "nonsense"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "SUPERNAUT_FAULT=nonsense: it must be POINT:HIT:ACTION" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("action", "code", "output"),
    [("kill", -9, "first\n"), ("term", -15, "first\n"), ("interrupt", 0, "first\ninterrupted\n")],
)
def test_signals_reach_this_process_at_once(action: str, code: int, output: str) -> None:
    program = (
        "from runner.faults import fault\n"
        "fault('settle.after_commit')\n"
        "print('first', flush=True)\n"
        "try:\n"
        "    fault('settle.after_commit')\n"
        "    print('unhurt', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, VARIABLE: f"settle.after_commit:2:{action}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, output), done.stderr
    assert action in ACTIONS
