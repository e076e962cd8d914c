"""The lock of a study's folder, which keeps two processes of one machine from working in it at once."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAUSE_S = 0.5


@contextmanager
def exclusively(folder: Path, name: str, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a study's folder; the system releases it when this process ends, however it ends.

    Raises `Conflict` where another process has held it for `patience_s` from now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_s
    with (folder / "lock").open("a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(_PAUSE_S)
                    continue
                file.seek(0)
                raise Conflict(
                    f"the study {name!r} is being run by process {file.read().strip() or 'unknown'} already; wait for "
                    "it, or stop it with Ctrl-C."
                ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
