"""A record that a study could have left behind, and the service over it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from runner.service.app import create_app
from runner.store import Repository, open_repository
from tests.runner.service.studies import create_study, finish_study

HERE = "http://127.0.0.1:8000"
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def finished_record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a record with one complete study, `digits`."""
    path = tmp_path_factory.mktemp("finished") / "supernaut.db"
    with open_repository(path, now=lambda: BEGUN) as repository:
        finish_study(repository, create_study(repository), evaluations=40)
    return path.read_bytes()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the record is, or would be."""
    return tmp_path / "home" / "supernaut.db"


@pytest.fixture
def digits(database: Path, finished_record: bytes) -> Iterator[Repository]:
    """The record with one complete study, open for more."""
    database.parent.mkdir()
    database.write_bytes(finished_record)
    with open_repository(database, now=lambda: BEGUN + timedelta(minutes=1)) as repository:
        yield repository


@pytest.fixture
def client(database: Path) -> Iterator[TestClient]:
    """A browser on this machine, an hour after the study."""
    app = create_app(database, port=8000, now=lambda: BEGUN + timedelta(hours=1))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield client
