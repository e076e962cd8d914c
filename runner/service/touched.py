"""When tokens were last used: collected while requests are answered, written down between them.

Written beside the requests, so that reading never waits for the record's one writer.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from runner.store import NotRecorded, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.service.record import Record

_AGAIN_S = 300.0  # after which the same token is written down again
_MOST = 10_000


class Touched:
    """Remembers which tokens were used.  For any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._waiting: set[str] = set()
        self._written: dict[str, float] = {}

    def add(self, token_id: str) -> None:
        """A token was used."""
        with self._lock:
            written = self._written.get(token_id)
            if written is None or self._clock() - written > _AGAIN_S:
                self._waiting.add(token_id)

    def write(self, record: Record) -> None:
        """Write down what waits; what cannot be written now waits on."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
            if len(self._written) > _MOST:
                self._written.clear()
        for token_id in sorted(waiting):
            try:
                record.repository().touch_token(token_id)
            except NotRecorded:
                continue
            except StoreError:
                self.add(token_id)
                return
            with self._lock:
                self._written[token_id] = self._clock()
