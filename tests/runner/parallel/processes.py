"""Finding the processes of a test: by a marker in their environment, which everything they start inherits."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

VARIABLE = "SUPERNAUT_TEST_MARK"


class Marked:
    """All processes started with `environment`, and what they started."""

    def __init__(self, **variables: str) -> None:
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", VARIABLE: self.mark, **variables}

    def processes(self) -> dict[int, str]:
        """Process id -> command line, zombies left out."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{VARIABLE}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
        return found

    def named(self, part: str) -> list[int]:
        """Those with a certain part in their command line."""
        return [pid for pid, command in self.processes().items() if part in command]

    def check_none_left(self, seconds: float = 10.0) -> None:
        """Fail if any is left after a while."""
        wait_until(lambda: not self.processes(), seconds, lambda: f"left over: {self.processes()}")


def wait_until(condition: Callable[[], object], seconds: float, complaint: Callable[[], str]) -> None:
    """Wait for a condition; fail with the complaint if it does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.05)
