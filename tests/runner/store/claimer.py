"""A worker that claims what it is told to, so that several can claim at the same moment; its clock may be wrong.

`python -m tests.runner.store.claimer LOCATION WORKER HOURS` has a clock HOURS ahead.  It reads lines and answers
each with a line: "study" or "job" (claim one: its id and attempt, or "nothing"), "write ID" (an event on the study, by
its claim: "written" or "lost"), "finish ID" (the job: its state, or "lost").
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runner.store import JobClaim, LeaseLost, StudyClaim, open_repository

if TYPE_CHECKING:
    from runner.store import Repository

LEASE_SECONDS = 600.0


class Claimer:
    """What it holds, by id."""

    def __init__(self, repository: Repository, worker: str) -> None:
        self.repository = repository
        self.worker = worker
        self.studies: dict[str, StudyClaim] = {}
        self.jobs: dict[str, JobClaim] = {}

    def answer(self, line: str) -> str:
        """Do what a line says."""
        match line.split():
            case ["study"]:
                claim = self.repository.claim_study(self.worker, LEASE_SECONDS)
                if claim is None:
                    return "nothing"
                self.studies[claim.study.id] = claim
                return f"{claim.study.id} {claim.attempt}"
            case ["job"]:
                job = self.repository.claim_job(self.worker, LEASE_SECONDS)
                if job is None:
                    return "nothing"
                self.jobs[job.job.id] = job
                return f"{job.job.id} {job.attempt}"
            case ["write", study_id]:
                try:
                    self.repository.fenced(self.studies[study_id]).add_event(study_id, "written", {"by": self.worker})
                except LeaseLost:
                    return "lost"
                return "written"
            case ["finish", job_id]:
                try:
                    return self.repository.finish_job(self.jobs[job_id], "complete").state
                except LeaseLost:
                    return "lost"
        raise AssertionError(line)


def main(location: str, worker: str, hours: float) -> None:
    """See above."""
    with open_repository(location, now=lambda: datetime.now(UTC) + timedelta(hours=hours)) as repository:
        claimer = Claimer(repository, worker)
        answer = "ready"
        while True:
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()
            if not (line := sys.stdin.readline()):
                return
            answer = claimer.answer(line)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
