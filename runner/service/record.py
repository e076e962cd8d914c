"""The record as one server process holds it: open once, and seen as it is now.

Owns when it is opened again: where its file was moved, and every few seconds, so that a database that was upgraded or
went away in the meantime is noticed.  It never makes a database.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from runner.store import StoreError, StoreUnavailable, open_repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.service.settings import ServiceSettings
    from runner.store import Repository

_TRUSTED_S = 10.0
_FAILING_S = 0.5  # for so long nobody tries again, so that those who wait do not wait one after another


class Record:
    """Gives every request the same repository.  For any number of threads."""

    def __init__(self, settings: ServiceSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._location = settings.location
        self._settings = settings
        self._clock = clock
        self._lock = Lock()
        self._repository: Repository | None = None
        self._place: tuple[int, int] | None = None
        self._opened_at = 0.0
        self._failure: tuple[float, StoreError] | None = None

    def repository(self) -> Repository:
        """The record, open.  Raises `StoreError` where it cannot be used."""
        with self._lock:
            now = self._clock()
            try:
                place = self._found()
                if self._repository is None or place != self._place or now - self._opened_at > _TRUSTED_S:
                    self._reopen(place, now)
            except StoreError as error:
                self.forget()
                if self._failure is None or now - self._failure[0] > _FAILING_S:
                    self._failure = (self._clock(), error)
                raise
            assert self._repository is not None
            return self._repository

    def check(self) -> None:
        """Raise `StoreError` unless the record can be used now and has the newest revision."""
        with self._lock:
            self._opened_at = float("-inf")
        self.repository()

    def forget(self) -> None:
        """Close what is open."""
        repository, self._repository = self._repository, None
        if repository is not None:
            repository.close()

    def _reopen(self, place: tuple[int, int] | None, now: float) -> None:
        if self._failure is not None and now - self._failure[0] <= _FAILING_S:
            raise self._failure[1]
        fresh = open_repository(self._location, busy_timeout_ms=self._settings.busy_timeout_ms, now=self._settings.now)
        # What others still read through the old one ends undisturbed: closing ends only connections at rest.
        self.forget()
        self._repository, self._place, self._opened_at, self._failure = fresh, place, self._clock(), None

    def _found(self) -> tuple[int, int] | None:
        """Which file it is; None for a database elsewhere."""
        if isinstance(self._location, str) and "://" in self._location:
            if not self._location.startswith("sqlite:///"):
                return None
            path = Path(self._location.removeprefix("sqlite:///"))
        else:
            path = Path(self._location)
        try:
            # Never opened by other means than SQLite's: that would drop the locks which this process holds on it.
            found = path.stat()
        except OSError as error:
            raise StoreUnavailable(
                f"{path}: {error.strerror or error}; put the record back, or restart the server for a new one"
            ) from error
        return found.st_dev, found.st_ino
