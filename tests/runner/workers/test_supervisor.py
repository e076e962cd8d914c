"""A worker against a record: it does what waits, once, and knows when to give up."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from runner.settings import Home
from runner.store import DatabaseTooNew, Repository, open_repository
from runner.workers.attempt import Terms
from runner.workers.supervisor import MOST_DEATHS, Supervisor
from tests.runner.workers.tables import SECONDS_VARIABLE, check_finished, table_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TERMS = Terms(lease_s=20.0, renew_s=0.2, grace_s=20.0)
PATIENCE_S = 120.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("SUPERNAUT_DATABASE_URL", raising=False)
    return Home(tmp_path)


@pytest.fixture
def repository(home: Home) -> Iterator[Repository]:
    with open_repository(home.database_url) as opened:
        yield opened


def submitted(repository: Repository, name: str) -> str:
    return repository.create_study(name=name, spec="{}", spec_digest="d", seed=0, desired_state="running").id


class Working:
    """A worker in a thread, until the end of the block."""

    def __init__(self, home: Home, make_command: object = table_command) -> None:
        self.said: list[str] = []
        self.stop = threading.Event()
        self.supervisor = Supervisor(home, name="w", terms=TERMS, make_command=make_command, say=self.said.append)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self.supervisor.run, args=(self.stop,))

    def __enter__(self) -> Working:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def state(repository: Repository, name: str) -> str:
    return repository.study(name).state


@pytest.mark.slow
def test_what_was_submitted_is_done_and_what_runs_in_the_foreground_is_left(home: Home, repository: Repository) -> None:
    submitted(repository, "one")
    repository.create_study(name="foreground", spec="{}", spec_digest="d", seed=0)
    with Working(home) as worker:
        submitted(repository, "two")
        wait_until(lambda: {state(repository, name) for name in ("one", "two")} == {"complete"})
        (seen,) = repository.workers()
        assert (seen.id, seen.name, seen.stopped_at) == (worker.supervisor.id, "w", None)
    for name in ("one", "two"):
        check_finished(repository, name)
    assert state(repository, "foreground") == "created"
    assert repository.workers()[0].stopped_at is not None
    assert "attempt 1" in (home.study(repository.study("one").id) / "worker.log").read_text() or worker.said


@pytest.mark.slow
def test_a_study_that_people_stop_is_stopped_and_goes_on_when_they_want(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECONDS_VARIABLE, "1")  # so that it is not over before it is stopped
    study_id = submitted(repository, "stopped")
    with Working(home):
        wait_until(lambda: len(repository.evaluations(study_id)) >= 2)
        repository.set_desired_state(study_id, "stopped", by="ann")
        wait_until(lambda: state(repository, "stopped") == "interrupted")
        wait_until(lambda: repository.study(study_id).lease_owner is None)
        monkeypatch.delenv(SECONDS_VARIABLE)
        repository.set_desired_state(study_id, "running", by="ann")
        wait_until(lambda: state(repository, "stopped") == "complete")
    check_finished(repository, "stopped")


@pytest.mark.slow
def test_a_study_whose_process_always_dies_is_given_up_with_the_reason(home: Home, repository: Repository) -> None:
    submitted(repository, "deadly")
    code = "import os, sqlite3, sys; sys.path.insert(0, '.')\n" + (
        "from runner.store import open_repository\n"
        f"record = open_repository({str(home.database)!r})\n"
        "study = record.study('deadly')\n"
        "record.transition_study(study.id, study.state, 'running')\n"
        "os.kill(os.getpid(), 9)"
    )
    with Working(home, lambda *_: [sys.executable, "-c", code]):
        wait_until(lambda: state(repository, "deadly") == "failed")
    study = repository.study("deadly")
    assert study.reason is not None
    assert f"ended by SIGKILL, {MOST_DEATHS} times in a row" in study.reason
    assert study.lease_attempt == MOST_DEATHS


def test_a_job_whose_process_dies_has_failed(home: Home, repository: Repository) -> None:
    study = repository.create_study(name="done", spec="{}", spec_digest="d", seed=0)
    repository.transition_study(study.id, "created", "running")
    repository.transition_study(study.id, "running", "complete")
    job = repository.create_job(study.id, "export", {"point": "knee"})
    with Working(home, lambda *_: [sys.executable, "-c", "raise SystemExit(9)"]):
        wait_until(lambda: repository.job(job.id).state == "failed")
    assert "it ended with exit status 9; the log is " in str(repository.job(job.id).reason)


def test_a_job_that_kills_its_workers_is_given_up(home: Home, repository: Repository) -> None:
    study = repository.create_study(name="done", spec="{}", spec_digest="d", seed=0)
    job = repository.create_job(study.id, "export", {"point": "knee"})
    for number in range(MOST_DEATHS):
        claim = repository.claim_job(f"dead-{number}", 600)
        assert claim is not None
        repository.release_job(claim)  # as if its lease had ended
    with Working(home):
        wait_until(lambda: repository.job(job.id).state == "failed")
    assert f"its workers died {MOST_DEATHS} times" in str(repository.job(job.id).reason)


@pytest.mark.slow
def test_a_worker_that_is_asked_to_end_leaves_a_study_that_the_next_one_finishes(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECONDS_VARIABLE, "1")
    study_id = submitted(repository, "handed-over")
    with Working(home):
        wait_until(lambda: len(repository.evaluations(study_id)) >= 2)
    assert state(repository, "handed-over") == "interrupted"
    assert repository.study(study_id).lease_owner is None
    monkeypatch.delenv(SECONDS_VARIABLE)
    with Working(home):
        wait_until(lambda: state(repository, "handed-over") == "complete")
    check_finished(repository, "handed-over")


def test_a_worker_on_another_device_leaves_a_study_alone(home: Home, repository: Repository) -> None:
    repository.ensure_device("elsewhere", name="other", description={})
    study_id = submitted(repository, "elsewhere")
    repository.set_study_device(study_id, "elsewhere")
    job = repository.create_job(study_id, "export", {"point": "knee"})
    assert repository.claim_study("w", 60, "here") is None
    assert repository.claim_job("w", 60, "here") is None
    claim = repository.claim_study("w", 60, "elsewhere")
    assert claim is not None
    repository.release_study(claim)
    assert repository.claim_study("w", 60) is not None
    assert repository.job(job.id).state == "queued"


def test_a_worker_ends_when_a_newer_version_has_upgraded_the_record(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.workers.supervisor.TRUSTED_S", 0.0)

    def upgrade(said: str) -> None:
        if said.startswith("worker "):  # it has begun
            with repository._writing("upgrade") as connection:
                connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseTooNew, match="revision 9999"):
        Supervisor(home, terms=TERMS, say=upgrade).run(threading.Event())
