"""A record of its own for each test, in both databases, and a clock that a test can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from runner.store import Repository, open_repository
from tests.postgres import running_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.store import StudyRecord
    from tests.postgres import Cluster


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def shared_record(cluster: Cluster) -> Iterator[Repository]:
    """One record for many tests: to empty it takes 5 ms, to copy a database and to connect to it 100 to 150."""
    with open_repository(cluster.make()) as opened:
        yield opened


def empty(record: Repository) -> None:
    """Remove everything, so that it is as new."""
    with record._engine.begin() as connection:
        for table in ("study", "device", "worker", "token", "idempotency"):
            connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text("UPDATE counter SET value = 0"))
        for table in ("evaluation", "value", "measurement"):
            connection.execute(text(f"ALTER SEQUENCE {table}_id_seq RESTART"))


@pytest.fixture(params=["sqlite", "postgresql"])
def repository(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Repository]:
    """What both databases must do."""
    if request.param == "sqlite":
        path, content = request.getfixturevalue("path"), request.getfixturevalue("new_record")
        path.write_bytes(content)
        with open_repository(path, now=clock) as opened:
            yield opened
    else:
        shared = request.getfixturevalue("shared_record")
        empty(shared)
        yield Repository(shared._engine, place=shared.place, now=clock)


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest) -> str:
    """Where an empty record lies, for tests with several processes."""
    if request.param == "sqlite":
        path = request.getfixturevalue("path")
        path.write_bytes(request.getfixturevalue("new_record"))
        return str(path)
    made: str = request.getfixturevalue("cluster").make()
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def nowhere(request: pytest.FixtureRequest) -> str:
    """Where a record can be made, for tests of making it."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("path"))
    made: str = request.getfixturevalue("cluster").make(template="template0")
    return made


@pytest.fixture
def study(repository: Repository) -> StudyRecord:
    return repository.create_study(name="digits", spec="{}", spec_digest="d1", seed=0, stages=("train", "profile"))
