"""The supervisor of a worker: claims one study or job after the other and sees each through.

Owns what becomes of a study whose child died: it is tried again, by whichever worker is next, unless it died several
times in a row without getting anywhere.
"""

from __future__ import annotations

import os
import platform
import random
import signal
import socket
import threading
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from predictors.latency.device import this_device
from runner.store import LeaseLost, StaleTransition, StoreUnavailable, open_repository
from runner.store.records import StudyClaim, WorkerRecord
from runner.workers.attempt import Attempt, Terms, command
from runner.workers.child import DONE, FENCED, STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.settings import Home
    from runner.store.records import EventRecord, JobClaim
    from runner.store.repository import Repository

    Command = Callable[[Home, StudyClaim | JobClaim], Sequence[str]]

IDLE_S = 1.0  # between two looks for work
LONGEST_IDLE_S = 30.0  # between two looks at a record that does not answer
SEEN_S = 20.0  # between two signs of life
TRUSTED_S = 20.0  # then it is looked at again whether the record still has the revision that this version knows
MOST_DEATHS = 5  # of children of one study in a row, without a stage completed in between
DIED = "its process died"  # how the reason of such an interruption begins


class Supervisor:
    """One worker.  `say` hears what a person at its terminal should know."""

    def __init__(
        self,
        home: Home,
        *,
        name: str = "",
        terms: Terms = Terms(),  # noqa: B008  (a frozen value)
        make_command: Command = command,
        say: Callable[[str], None] = print,
    ) -> None:
        self._home, self._terms, self._make_command, self._say = home, terms, make_command, say
        host = socket.gethostname()
        self.id = f"{host}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._name = name or platform.node() or host
        self._host = host
        self._seen_at = float("-inf")
        self._device_id = this_device().fingerprint  # its latencies are not comparable with another's

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set.

        Raises `StoreError` where the record cannot be used at all, `DatabaseTooNew` also when it was upgraded since.
        """
        self._home.make()
        location = self._home.database_url
        repository, opened_at = open_repository(location), time.monotonic()
        try:
            self._register(repository)
            self._say(f"worker {self.id}; its record is {repository.place}")
            pause_s = IDLE_S
            while not stop.is_set():
                try:
                    if time.monotonic() - opened_at > TRUSTED_S:
                        fresh = open_repository(location)
                        repository.close()
                        repository, opened_at = fresh, time.monotonic()
                    worked = self._look(repository, stop)
                    pause_s = IDLE_S
                except StoreUnavailable as error:
                    self._say(f"the record does not answer, trying again: {error}")
                    worked, pause_s = False, min(LONGEST_IDLE_S, 2 * pause_s)
                if not worked:
                    stop.wait(pause_s * random.uniform(0.5, 1.5))  # so that workers do not look in step
            with suppress(StoreUnavailable):
                repository.stop_worker(self.id)
        finally:
            repository.close()

    def _register(self, repository: Repository) -> None:
        now = datetime.now(UTC)
        repository.register_worker(
            WorkerRecord(
                id=self.id,
                name=self._name,
                version=version("supernaut"),
                host=self._host,
                pid=os.getpid(),
                started_at=now,
                seen_at=now,
            )
        )

    def _look(self, repository: Repository, stop: threading.Event) -> bool:
        """Claim something and see it through; whether there was anything to do."""
        self._show(repository, None)
        lease_s, device_id = self._terms.lease_s, self._device_id
        claim = repository.claim_study(self.id, lease_s, device_id) or repository.claim_job(self.id, lease_s, device_id)
        if claim is None:
            return False
        try:
            return self._see_through(repository, claim, stop)
        finally:
            with suppress(StoreUnavailable):
                if isinstance(claim, StudyClaim):
                    repository.release_study(claim)
                else:
                    repository.release_job(claim)

    def _see_through(self, repository: Repository, claim: StudyClaim | JobClaim, stop: threading.Event) -> bool:
        if isinstance(claim, StudyClaim):
            study_id, what = claim.study.id, f"study {claim.study.name}"
        else:
            study_id, what = claim.job.study_id, f"{claim.job.kind} {claim.job.id[:8]}"
        if not isinstance(claim, StudyClaim) and claim.attempt > MOST_DEATHS:
            # Of one that only its own process dies of, `finish_job` below tells at once.
            repository.finish_job(claim, "failed", f"its workers died {MOST_DEATHS} times; their logs may say why")
            return True
        self._say(f"{what}: attempt {claim.attempt}")
        log = self._home.study(study_id) / "worker.log"
        attempt = Attempt(repository, claim, self._make_command(self._home, claim), log, self._terms)

        def asked() -> bool:
            with suppress(StoreUnavailable):
                self._show(repository, study_id)
            return stop.is_set()

        ending, status = attempt.see_through(asked)
        if ending == "fenced" or status == FENCED:
            self._say(f"{what}: another worker goes on with it")
        elif status not in (DONE, STOPPED):
            self._say(f"{what}: its process {_how(status)}; see {log}")
            if isinstance(claim, StudyClaim):
                self._mourn(repository, claim, status)
            else:
                with suppress(LeaseLost):
                    repository.finish_job(claim, "failed", f"{DIED}: it {_how(status)}; the log is {log}")
        else:
            self._say(f"{what}: {'done' if status == DONE else 'stopped'}")
        return status != STOPPED

    def _mourn(self, repository: Repository, claim: StudyClaim, status: int) -> None:
        """A child died in the middle of its study: to be tried again, or given up."""
        fenced = repository.fenced(claim)
        study = repository.study(claim.study.id)
        if study.state != "running":
            return
        deaths = 1 + deaths_in_a_row(repository.events(study.id))
        reason = f"{DIED}: it {_how(status)}"
        with suppress(LeaseLost, StaleTransition):
            if deaths >= MOST_DEATHS:
                advice = "that often means too little memory; resume it when the cause is gone"
                fenced.transition_study(study.id, "running", "failed", f"{reason}, {deaths} times in a row; {advice}")
            else:
                fenced.transition_study(study.id, "running", "interrupted", reason)

    def _show(self, repository: Repository, study_id: str | None) -> None:
        """Be seen, now and then."""
        now = time.monotonic()
        if now - self._seen_at >= SEEN_S:
            self._seen_at = now
            repository.seen_worker(self.id, study_id)


def deaths_in_a_row(events: Sequence[EventRecord]) -> int:
    """How often a study's process died since one of its stages was last completed."""
    deaths = 0
    for event in events:
        told = event.payload
        if event.kind == "stage.state" and told.get("to") == "complete":
            deaths = 0
        elif event.kind == "study.state" and str(told.get("reason") or "").startswith(DIED):
            deaths += 1
        elif event.kind == "study.desired":
            deaths = 0  # somebody asked for another try
    return deaths


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
