"""One call of each method that writes, on a record prepared for them, and what a record consists of.

`python -m tests.runner.store.writes` reads lines "LOCATION METHOD FAULT" from standard input, makes the call in a
process of its own with that fault, and writes the exit code of each process on a line.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.faults import VARIABLE
from runner.store import JobClaim, Repository, StudyClaim, ValueRecord, open_repository
from tests.runner.store.examples import a_measurement, a_reservation, a_token, a_worker, an_artifact, an_evaluation

STUDY = "digits"
WRITERS: Mapping[str, Callable[[Repository, str], object]] = {
    "create_study": lambda repository, _: repository.create_study(
        name="new", spec="{}", spec_digest="d", seed=0, stages=("train", "profile")
    ),
    "transition_study": lambda repository, study: repository.transition_study(study, "created", "running"),
    "delete_study": lambda repository, study: repository.delete_study(study),
    "ensure_stages": lambda repository, study: repository.ensure_stages(study, ("search", "confirm")),
    "transition_stage": lambda repository, study: repository.transition_stage(
        study, "train", "running", "complete", {"step": 2}
    ),
    "set_stage_detail": lambda repository, study: repository.set_stage_detail(study, "train", {"step": 2}),
    "add_event": lambda repository, study: repository.add_event(study, "note", {"text": "hello"}),
    "reserve": lambda repository, study: repository.reserve(
        study, a_reservation("free"), owner="me", lease_seconds=60, budget=4
    ),
    "renew": lambda repository, study: repository.renew(study, "me", 1000),
    "take_over": lambda repository, study: repository.take_over(study, "new"),
    "settle": lambda repository, study: repository.settle(study, "me", 1, an_evaluation("first under way")),
    "release": lambda repository, study: repository.release(study, "me"),
    "record_evaluation": lambda repository, study: repository.record_evaluation(study, an_evaluation("free")),
    "set_values": lambda repository, _: repository.set_values(
        {
            1: (
                ValueRecord(metric="latency_ms", value=3.0, provenance="predicted"),
                ValueRecord(metric="error", value=0.5, provenance="exported"),
            )
        }
    ),
    "ensure_device": lambda repository, _: repository.ensure_device("phone", name="phone", description={}),
    "set_reference_ms": lambda repository, _: repository.set_reference_ms("laptop", 2.0),
    "record_measurement": lambda repository, study: repository.record_measurement(study, a_measurement()),
    "record_artifact": lambda repository, study: repository.record_artifact(study, an_artifact()),
    "set_study_device": lambda repository, study: repository.set_study_device(study, "laptop"),
    "set_desired_state": lambda repository, study: repository.set_desired_state(study, "stopped", "somebody"),
    "edit_study": lambda repository, study: repository.edit_study(study, 1, notes="mine", tags=("a", "b")),
    "claim_study": lambda repository, _: repository.claim_study("another worker", 60),
    "renew_study": lambda repository, _: repository.renew_study(_study_claim(repository), 1000),
    "release_study": lambda repository, _: repository.release_study(_study_claim(repository)),
    "create_job": lambda repository, study: repository.create_job(study, "export", {"point": "knee"}),
    "cancel_job": lambda repository, _: repository.cancel_job(WAITING_JOB),
    "claim_job": lambda repository, _: repository.claim_job("another worker", 60),
    "renew_job": lambda repository, _: repository.renew_job(_job_claim(repository), 1000),
    "release_job": lambda repository, _: repository.release_job(_job_claim(repository)),
    "set_job_progress": lambda repository, _: repository.set_job_progress(_job_claim(repository), {"step": 3}),
    "finish_job": lambda repository, _: repository.finish_job(_job_claim(repository), "complete", None, {"n": 1}),
    "register_worker": lambda repository, _: repository.register_worker(a_worker("another")),
    "seen_worker": lambda repository, study: repository.seen_worker("worker", study),
    "stop_worker": lambda repository, _: repository.stop_worker("worker"),
    "create_token": lambda repository, _: repository.create_token(a_token("another")),
    "touch_token": lambda repository, _: repository.touch_token("link"),
    "revoke_token": lambda repository, _: repository.revoke_token("link"),
    "use_link": lambda repository, _: repository.use_link("link"),
    "begin_idempotent": lambda repository, _: repository.begin_idempotent("local", "new", "0" * 64),
    "finish_idempotent": lambda repository, _: repository.finish_idempotent("local", "begun", 201, {"id": "x"}),
    "abandon_idempotent": lambda repository, _: repository.abandon_idempotent("local", "begun"),
    "forget_idempotent": lambda repository, _: repository.forget_idempotent(timedelta(0)),
}
WAITING_JOB = "0" * 31 + "1"


def _study_claim(repository: Repository) -> StudyClaim:
    """What the worker was given in `prepare`."""
    held = repository.study("held")
    return StudyClaim(study=held, attempt=1)


def _job_claim(repository: Repository) -> JobClaim:
    (job,) = repository.jobs(repository.study("with a job").id)
    return JobClaim(job=job, attempt=1)


_ANY_TIME_BUT_OURS = re.compile(r"20[0-9]{2}-(?!01-01 00:0[01])[0-9]{2}-[0-9]{2} [0-9:.]{15}")


def frozen() -> datetime:
    """A clock that stands, so that a call that is repeated writes the same."""
    return datetime(2026, 1, 1, tzinfo=UTC)


def prepare(path: Path | str) -> None:
    """Make a record on which each of the calls changes something."""
    with open_repository(path, now=frozen) as repository:
        repository.ensure_device("laptop", name="laptop", description={})
        study = repository.create_study(name=STUDY, spec="{}", spec_digest="d", seed=0, stages=("train", "profile")).id
        repository.transition_stage(study, "train", "pending", "running", {"step": 1})
        repository.record_evaluation(study, an_evaluation())
        for digest in ("first under way", "second under way"):
            repository.reserve(study, a_reservation(digest), owner="me", lease_seconds=60, budget=None)
        held, with_job, waiting = (
            repository.create_study(
                name=name, spec="{}", spec_digest="d", seed=0, desired_state=desired, study_id=digit * 32
            ).id
            for digit, name, desired in (
                ("1", "held", "running"),
                ("2", "with a job", None),
                ("3", "waiting", "running"),
            )
        )
        repository.create_job(with_job, "retrain", {})
        claim, job = repository.claim_study("worker", 60), repository.claim_job("worker", 60)
        assert claim is not None
        assert job is not None
        assert (claim.study.id, job.job.study_id) == (held, with_job)
        repository.create_job(waiting, "retrain", {}, job_id=WAITING_JOB)
        repository.register_worker(a_worker("worker"))
        repository.create_token(a_token("link", kind="link"))
        repository.begin_idempotent("local", "begun", "0" * 64)


def write(path: Path | str, method: str, *, busy_timeout_ms: int = 10_000) -> None:
    """Make the call."""
    with open_repository(path, now=frozen, busy_timeout_ms=busy_timeout_ms) as repository:
        WRITERS[method](repository, repository.study(STUDY).id)


def contents(path: Path) -> dict[str, list[str]]:
    """All rows of a record that is whole; random ids are numbered in the order in which they appear.

    Times of the database's own clock, which nobody can stop, are all the same.
    """
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return numbers.setdefault(found[0], f"id {len(numbers)}")

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name DESC")
        return {
            table: [
                re.sub("[0-9a-f]{32}", number, _ANY_TIME_BUT_OURS.sub("then", repr(row)))
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
            ]
            for (table,) in tables.fetchall()
        }


def main() -> None:
    """Fork for each line: this process has no thread and no open database, and starting anew takes 0.5 s."""
    for line in sys.stdin.read().splitlines():
        path, method, fault = line.split()
        process = os.fork()
        if process == 0:
            os.environ[VARIABLE] = fault
            code = 1
            try:
                write(path, method)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main()
