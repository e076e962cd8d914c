"""Owns the right to write to a folder in which a process of an earlier run may still be at work."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import RunnerError


class FolderTaken(RunnerError):
    """Another process holds a folder."""


@contextmanager
def alone(folder: Path, patience_s: float) -> Iterator[None]:
    """Hold the lock of a folder, which the system releases when this process ends, however it ends.

    A process whose driver was killed may live on for a moment; two of them must not write to one folder.  Raises
    `FolderTaken` where the other one does not let go for so long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FolderTaken(f"another process has trained in {folder} for {patience_s:g} s.") from None
                time.sleep(0.1)
        yield
