"""Keeps Ray's libraries quiet: their words on the terminal, their files and their signal handlers."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_CHATTY = ("ray.tune", "ray.train", "ray.air")


@contextmanager
def quiet(settings: Mapping[str, str]) -> Iterator[None]:
    """Within, these libraries log nothing and have these variables; afterwards all is as it was."""
    before = {name: os.environ.get(name) for name in settings}
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    on_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGUSR1)
    os.environ.update(settings)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        if on_main_thread:
            signal.signal(signal.SIGUSR1, handler)  # Tune takes it and does not give it back
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
