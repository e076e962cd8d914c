"""A record of its own for each test, and a clock that a test can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runner.store import open_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.store import Repository, StudyRecord


class Clock:
    """Each look at it is one second later than the one before."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.sqlite3"


@pytest.fixture(scope="session")
def new_record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a record in which nothing is recorded yet: copying it is quicker than making one."""
    path = tmp_path_factory.mktemp("new") / "record.sqlite3"
    open_repository(path).close()
    return path.read_bytes()


@pytest.fixture(params=["sqlite"])
def repository(path: Path, new_record: bytes, clock: Clock) -> Iterator[Repository]:
    """What every database must do; another one is another parameter."""
    path.write_bytes(new_record)
    with open_repository(path, now=clock) as opened:
        yield opened


@pytest.fixture
def study(repository: Repository) -> StudyRecord:
    return repository.create_study(name="digits", spec="{}", spec_digest="d1", seed=0, stages=("train", "profile"))
