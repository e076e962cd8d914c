"""Owns the last resort when Ray is gone and does not let go of this process.

Most of Ray's calls wait for its head without a limit, in C++, where no exception of Python reaches them; after a
minute Ray ends the process with a message that helps nobody. So a thread looks on, and ends it earlier.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

_LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 30.0  # noticing and tidying up take 12 at most; Ray itself waits 60


class Watchdog:
    """Ends this process when something was not alive for long, unless it is called off."""

    def __init__(self, alive: Callable[[], bool], words: str, exit_code: int, patience_s: float) -> None:
        self._alive, self._words, self._exit_code, self._patience_s = alive, words, exit_code, patience_s
        self._off = threading.Event()
        threading.Thread(target=self._look_on, name="ray-watchdog", daemon=True).start()

    def call_off(self) -> None:
        """From now on it does nothing."""
        self._off.set()

    def _look_on(self) -> None:
        alive_at = time.monotonic()
        while not self._off.wait(_LOOK_SECONDS):
            if self._alive():
                alive_at = time.monotonic()
            elif time.monotonic() - alive_at > self._patience_s:
                os.write(2, f"{self._words}\n".encode())
                os._exit(self._exit_code)
