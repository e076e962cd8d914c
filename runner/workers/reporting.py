"""How a study that a worker runs tells those who watch it how far it is: by events of the record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runner.store.errors import StoreError

if TYPE_CHECKING:
    from runner.progress import Reporter

PROGRESS = "stage.progress"
NOTE = "note"
_SECONDS_BETWEEN = 5.0  # a study of hours makes some thousand events, and no more

Post = Callable[[str, Mapping[str, Any]], object]


class EventReporter:
    """Posts progress as events, not too often, and hands everything on to another reporter, which writes a log.

    An event that cannot be written is lost: work does not wait for it, and its next row says whether the record is
    there.
    """

    def __init__(self, post: Post, log: Reporter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._post = post
        self._log = log
        self._clock = clock
        self._stage = ""
        self._told_at: float | None = None

    def stage(self, name: str, position: int, total: int) -> None:
        """A stage begins; the record has an event of its own for that."""
        self._log.stage(name, position, total)
        self._stage, self._told_at = name, None

    def progress(self, done: int, total: int, detail: str) -> None:
        """An event, if the last one is some seconds old or the stage is done."""
        self._log.progress(done, total, detail)
        now = self._clock()
        if self._told_at is None or done >= total or now - self._told_at >= _SECONDS_BETWEEN:
            self._told_at = now
            self._tell(PROGRESS, {"stage": self._stage, "done": done, "total": total, "detail": detail})

    def note(self, message: str) -> None:
        """An event for each."""
        self._log.note(message)
        self._tell(NOTE, {"stage": self._stage, "message": message})

    def _tell(self, kind: str, payload: Mapping[str, Any]) -> None:
        with suppress(StoreError):
            self._post(kind, payload)
