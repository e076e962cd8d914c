"""A lock on a record that another process really holds."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLD_UNTIL_A_LINE_COMES = (
    "import sqlite3, sys\n"
    "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "connection.execute('BEGIN EXCLUSIVE')\n"
    "print('locked', flush=True)\n"
    "sys.stdin.readline()\n"
)


class Holder:
    """The process."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLD_UNTIL_A_LINE_COMES, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "locked\n"

    def release(self) -> None:
        """Let it end, and its lock with it."""
        assert self.process.stdin is not None
        self.process.stdin.write("go on\n")
        self.process.stdin.flush()


@contextmanager
def locked_by_a_process(path: Path) -> Iterator[Holder]:
    """Another process holds BEGIN EXCLUSIVE until the end of the block or until it is released."""
    holder = Holder(path)
    with holder.process:
        yield holder
        holder.process.communicate(timeout=60)  # closes its input, which ends it
