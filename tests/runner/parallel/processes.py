"""Finding the processes of a test: by a marker in their environment, which everything they start inherits.

Ray writes titles over the environment of some of its processes; those are found by their session, in which there
are others.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

VARIABLE = "SUPERNAUT_TEST_MARK"


class Marked:
    """All processes started with `environment`, and what they started. Look at them while they all run."""

    def __init__(self, **variables: str) -> None:
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", VARIABLE: self.mark, **variables}
        self._sessions: set[int] = set()  # of marked processes seen so far, other than our own

    def processes(self) -> dict[int, str]:
        """Process id -> command line, zombies left out."""
        everything = self._everything()
        self._sessions |= {session for marked, session, _ in everything.values() if marked} - {os.getsid(0)}
        return {
            pid: command
            for pid, (marked, session, command) in everything.items()
            if marked or session in self._sessions
        }

    def _everything(self) -> dict[int, tuple[bool, int, str]]:
        """Each process of this machine: whether it bears the mark, its session and its command line."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pid = int(folder.name)
                marked = f"{VARIABLE}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
                if command := (folder / "cmdline").read_text().replace("\0", " ").strip():
                    found[pid] = (marked, os.getsid(pid), command)
        return found

    def named(self, part: str) -> list[int]:
        """Those with a certain part in their command line."""
        return [pid for pid, command in self.processes().items() if part in command]

    def kill_all(self) -> None:
        """kill -9 each of them; some end by themselves once others are gone."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def check_none_left(self, seconds: float = 10.0) -> None:
        """Fail if any is left after a while."""
        wait_until(lambda: not self.processes(), seconds, lambda: f"left over: {self.processes()}")


def wait_until(condition: Callable[[], object], seconds: float, complaint: Callable[[], str]) -> None:
    """Wait for a condition; fail with the complaint if it does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.05)
