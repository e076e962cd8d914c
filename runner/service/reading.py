"""Opening the record to read it, for as long as one request takes.  It never makes a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner.store import StoreUnavailable, StudyNotFound, open_repository

if TYPE_CHECKING:
    from runner.store import Repository

_PATIENCE_MS = 2_000  # a page that says the record is locked is better than one that does not come


def is_begun(database: Path) -> bool:
    """Whether there is a record yet; before the first study there is none."""
    try:
        return database.exists()
    except OSError as error:
        raise StoreUnavailable(
            f"{database}: {error.strerror or error}; let the server's user read this folder"
        ) from error


@contextmanager
def reading(database: Path) -> Iterator[Repository]:
    """The record.  Raises `StudyNotFound` where there is none, `StoreError` where it cannot be read."""
    if not is_begun(database):
        raise StudyNotFound("nothing is recorded yet, so there is no study of this name")
    with open_repository(database, busy_timeout_ms=_PATIENCE_MS) as repository:
        yield repository
