"""A worker in the foreground, until someone asks it to end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from runner.workers.parent import when_it_is_gone
from runner.workers.supervisor import Supervisor

if TYPE_CHECKING:
    from runner.settings import Home


def run_worker(home: Home, name: str = "", *, with_parent: bool = False) -> None:
    """Work until Ctrl-C or SIGTERM: the study at work stops at the next safe point; a second time ends it at once.

    `with_parent` also ends it, in the same way, with the process that holds its standard input.
    """
    stop, asked = threading.Event(), threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        if asked.is_set():  # by a signal: that the parent has gone, too, is no second wish
            raise KeyboardInterrupt
        asked.set()
        stop.set()
        with suppress(OSError):
            os.write(2, b"stopping at the next safe point; once more to stop at once\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    if with_parent:
        when_it_is_gone(stop.set)
    supervisor = Supervisor(home, name=name, say=_say)
    try:
        supervisor.run(stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _say("worker stopped")


def _say(message: str) -> None:
    with suppress(OSError):  # whoever read it may have left
        sys.stderr.write(message + "\n")
        sys.stderr.flush()
