"""Whether the process that started this one is still there: it holds this one's standard input open."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


def when_it_is_gone(act: Callable[[], object]) -> None:
    """Call `act`, in a thread, when standard input ends: with its writer, however that ended."""

    def wait() -> None:
        # Not through sys.stdin, whose lock a waiting thread would hold when this process ends.
        while os.read(0, 4096):
            pass
        act()

    threading.Thread(target=wait, daemon=True, name="parent").start()
