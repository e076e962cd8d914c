"""A child under its supervisor: it is asked, and then made, to end; a lost lease ends it at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.store import LeaseLost, StoreUnavailable
from runner.store.records import StudyClaim, StudyRecord
from runner.workers.attempt import Attempt, Terms

TERMS = Terms(lease_s=30.0, renew_s=0.05, grace_s=20.0)
FOR_EVER = "import time; print('up', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {FOR_EVER}"


@dataclass
class Record:
    """What a repository says at each renewal; the last answer stands."""

    answers: list[Any] = field(default_factory=lambda: ["running"])
    renewals: int = 0

    def renew_study(self, claim: StudyClaim, lease_seconds: float) -> Any:
        self.renewals += 1
        answer = self.answers[min(self.renewals, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_claim() -> StudyClaim:
    now = datetime.now(UTC)
    study = StudyRecord(
        id="s",
        name="study",
        spec="{}",
        spec_digest="d",
        state="running",
        reason=None,
        seed=0,
        device_id=None,
        created_at=now,
        updated_at=now,
        finished_at=None,
        owner="local",
        desired_state="running",
        lease_owner="w",
        lease_until=now,
        lease_attempt=1,
        notes="",
        tags=(),
        revision=1,
    )
    return StudyClaim(study=study, attempt=1)


def started(record: Record, code: str, log: Path, terms: Terms = TERMS) -> Attempt:
    attempt = Attempt(record, a_claim(), [sys.executable, "-c", code], log, terms)  # type: ignore[arg-type]
    deadline = time.monotonic() + 60
    while "up" in code and "up" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    return attempt


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@pytest.mark.parametrize("status", [0, 3])
def test_its_exit_status_is_told(tmp_path: Path, status: int) -> None:
    attempt = started(Record(), f"import sys; print('said'); sys.exit({status})", tmp_path / "s" / "log")
    assert attempt.see_through(lambda: False) == ("ended", status)
    assert (tmp_path / "s" / "log").read_text() == "said\n"


def test_it_is_asked_to_stop_where_people_want_that(tmp_path: Path) -> None:
    record = Record(["running", "running", "stopped"])
    attempt = started(record, f"try:\n {FOR_EVER}\nexcept KeyboardInterrupt:\n raise SystemExit(75)", tmp_path / "log")
    assert attempt.see_through(lambda: False) == ("ended", 75)
    assert record.renewals >= 3


def test_one_that_does_not_hear_is_ended(tmp_path: Path) -> None:
    terms = Terms(lease_s=30.0, renew_s=10.0, grace_s=0.3)
    attempt = started(Record(), DEAF, tmp_path / "log", terms)
    assert attempt.see_through(lambda: True) == ("ended", -9)


def test_a_lost_lease_ends_it_at_once(tmp_path: Path) -> None:
    attempt = started(Record(["running", LeaseLost("another worker")]), DEAF, tmp_path / "log")
    assert attempt.see_through(lambda: False) == ("fenced", -9)


def test_a_silent_record_ends_it_when_the_lease_may_be_over(tmp_path: Path) -> None:
    terms = Terms(lease_s=1.0, renew_s=0.1, grace_s=20.0)
    attempt = started(Record(["running", StoreUnavailable("gone")]), DEAF, tmp_path / "log", terms)
    began = time.monotonic()
    assert attempt.see_through(lambda: False) == ("fenced", -9)
    assert time.monotonic() - began >= 0.5


def test_a_record_that_answers_again_in_time_changes_nothing(tmp_path: Path) -> None:
    record = Record([StoreUnavailable("gone"), StoreUnavailable("gone"), "running"])
    attempt = started(record, "import time; time.sleep(1)", tmp_path / "log")
    assert attempt.see_through(lambda: False) == ("ended", 0)


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    attempt = started(Record(), code, tmp_path / "log")
    assert attempt.see_through(lambda: False) == ("ended", 0)
    pid, deadline = int((tmp_path / "log").read_text()), time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_it_reads_the_end_of_its_input_when_the_supervisor_dies(tmp_path: Path) -> None:
    """In a process of its own, which is killed: the child hears of it."""
    log = tmp_path / "log"
    code = f"""
import os, sys
from pathlib import Path
from tests.runner.workers.test_attempt import Record, started
started(Record(), "import os; print('up', flush=True); os.read(0, 1); print('orphan', flush=True)", Path({str(log)!r}))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == -9
    deadline = time.monotonic() + 30
    while "orphan" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.read_text() == "up\norphan\n"


@pytest.mark.parametrize(("lease", "renew"), [(10.0, 5.0), (10.0, 0.0)])
def test_terms_under_which_a_lease_would_be_lost_are_refused(lease: float, renew: float) -> None:
    with pytest.raises(ValueError, match="may be missed"):
        Terms(lease_s=lease, renew_s=renew)
