"""A record that a study could have left behind, and the service over it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from runner.service.app import create_app
from runner.service.hosts import Hosts
from runner.service.settings import ServiceSettings
from runner.settings import Home
from runner.store import Repository, open_repository
from tests.runner.service.callers import ADMIN, BEGUN, let_in
from tests.runner.service.studies import create_study, finish_study

if TYPE_CHECKING:
    from fastapi import FastAPI

if TYPE_CHECKING:
    from fastapi import FastAPI

HERE = "http://127.0.0.1:8000"


@pytest.fixture(scope="session")
def empty_record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a record without a study."""
    path = tmp_path_factory.mktemp("empty") / "supernaut.db"
    with open_repository(path, now=lambda: BEGUN) as repository:
        let_in(repository)
    return path.read_bytes()


@pytest.fixture(scope="session")
def finished_record(tmp_path_factory: pytest.TempPathFactory, empty_record: bytes) -> bytes:
    """The file of a record with one complete study, `digits`."""
    path = tmp_path_factory.mktemp("finished") / "supernaut.db"
    path.write_bytes(empty_record)
    with open_repository(path, now=lambda: BEGUN) as repository:
        finish_study(repository, create_study(repository), evaluations=40)
    return path.read_bytes()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The state folder, with a record without a study."""
    home = Home(tmp_path / "home")
    home.path.mkdir(mode=0o700)
    return home


@pytest.fixture
def database(home: Home, empty_record: bytes) -> Path:
    """Where the record is."""
    home.database.write_bytes(empty_record)
    return home.database


@pytest.fixture
def repository(database: Path) -> Iterator[Repository]:
    """The record, without a study at first."""
    with open_repository(database, now=lambda: BEGUN + timedelta(minutes=1)) as repository:
        yield repository


@pytest.fixture
def digits(database: Path, finished_record: bytes) -> Iterator[Repository]:
    """The record with one complete study, open for more."""
    database.write_bytes(finished_record)
    with open_repository(database, now=lambda: BEGUN + timedelta(minutes=1)) as repository:
        yield repository


@pytest.fixture
def settings(home: Home, database: Path) -> ServiceSettings:
    """A server on this machine, an hour after the study."""
    return ServiceSettings(
        home=home,
        location=database,
        hosts=Hosts(8000),
        now=lambda: BEGUN + timedelta(hours=1),
        poll_s=0.02,
    )


@pytest.fixture
def service(settings: ServiceSettings) -> FastAPI:
    """The application."""
    return create_app(settings)


@pytest.fixture
def stranger(service: FastAPI) -> Iterator[TestClient]:
    """Somebody without a token."""
    with TestClient(service, base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    """The administrator."""
    stranger.headers.update(ADMIN.headers)
    return stranger
