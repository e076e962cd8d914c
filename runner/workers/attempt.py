"""One claim at work: its child process, the lease that is renewed meanwhile, and how the child is ended.

Owns when a child may not go on: when people want its study stopped, when the lease is lost, and when the record has not
answered for so long that the lease may be over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.store import LeaseLost, StoreUnavailable
from runner.store.records import StudyClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.settings import Home
    from runner.store.records import JobClaim
    from runner.store.repository import Repository

_LOOK_S = 0.2
_MOST_LOG_BYTES = 10 << 20

Ending = Literal["ended", "fenced"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How long things may take, in seconds."""

    lease_s: float = 60.0
    renew_s: float = 10.0
    grace_s: float = 60.0  # from a wish to stop until the child is killed

    def __post_init__(self) -> None:
        if not 0 < self.renew_s < self.lease_s / 2:
            raise ValueError(f"a lease of {self.lease_s} s that is renewed every {self.renew_s} s may be missed")


def command(home: Home, claim: StudyClaim | JobClaim) -> list[str]:
    """The command of the child that works on a claim."""
    kind, row_id = ("study", claim.study.id) if isinstance(claim, StudyClaim) else ("job", claim.job.id)
    return [
        *(sys.executable, "-m", "runner.workers.child", kind, row_id, "--home", str(home.path)),
        *("--worker", claim.worker_id, "--attempt", str(claim.attempt)),
    ]


class Attempt:
    """The child of one claim."""

    def __init__(
        self,
        repository: Repository,
        claim: StudyClaim | JobClaim,
        command: Sequence[str],
        log: Path,
        terms: Terms,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository, self._claim, self._terms, self._clock = repository, claim, terms, clock
        self._renewed_at = clock()
        self._tried_at = clock()
        self._asked_at: float | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _MOST_LOG_BYTES:
            log.replace(log.with_suffix(".old"))
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                # It ends when this process does, however that happens: the child stops when it reads the end.
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def see_through(self, stop: Callable[[], bool]) -> tuple[Ending, int]:
        """Wait for the child, renewing the lease; how it ended and its exit status."""
        while self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_S)
            now = self._clock()
            if now - self._tried_at >= self._terms.renew_s and not self._renew(now):
                return "fenced", self._kill()
            if self._asked_at is None and stop():
                self._ask()
            if self._asked_at is not None and now - self._asked_at > self._terms.grace_s:
                self._kill()
        # What it started may have outlived it, in its session: nothing of it may go on.
        return "ended", self._kill()

    def _renew(self, now: float) -> bool:
        """Renew the lease; whether the child may go on."""
        self._tried_at = now
        try:
            if isinstance(self._claim, StudyClaim):
                unwanted = self._repository.renew_study(self._claim, self._terms.lease_s) != "running"
            else:
                unwanted = self._repository.renew_job(self._claim, self._terms.lease_s) != "running"
        except LeaseLost:
            return False
        except StoreUnavailable:
            # Others may have taken over by then; if not, the study goes on from its last row.
            return now - self._renewed_at < self._terms.lease_s
        self._renewed_at = now
        if unwanted and self._asked_at is None:
            self._ask()
        return True

    def _ask(self) -> None:
        """Ask the child to stop at the next safe point."""
        self._asked_at = self._clock()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def _kill(self) -> int:
        """End the child and everything in its session; its exit status."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        return self._process.wait()
