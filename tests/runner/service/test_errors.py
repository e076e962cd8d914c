"""Every error ends in a page that says what happened, never in a traceback."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from runner.service.app import create_app
from runner.service.routes import pages
from runner.service.settings import ServiceSettings
from runner.store import Repository
from tests.runner.service.callers import ADMIN
from tests.runner.service.conftest import HERE
from tests.runner.service.pages import Page
from tests.runner.service.studies import create_study


@pytest.mark.parametrize("path", ["/studies/nobody", "/studies/nobody/front.svg"])
def test_an_unknown_study_has_a_page(client: TestClient, digits: Repository, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "No study that you may see has this id, beginning of an id or name." in Page(answer.text).words


def test_a_record_that_is_gone_is_named_and_none_is_made(client: TestClient, database: Path) -> None:
    assert client.get("/studies/digits").status_code == 404
    database.unlink()
    assert_unavailable(client, "locked, unreachable or cannot be written")
    assert not database.exists()


def test_a_beginning_that_several_ids_have_is_answered_with_what_to_do(client: TestClient, digits: Repository) -> None:
    ids = [create_study(digits, f"study-{index}").id for index in range(17)]
    shared = next(first for first in "0123456789abcdef" if sum(each.startswith(first) for each in ids) > 1)
    answer = client.get(f"/studies/{shared}")
    assert answer.status_code == 400
    assert "Give more characters of the id, or the name" in Page(answer.text).words


@pytest.mark.parametrize(
    "path", ["/nothing", "/studies/", "/docs", "/redoc", "/static/../app.py", "/static/%2e%2e/app.py"]
)
def test_other_addresses_have_a_page_too(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "All studies" in Page(answer.text).words


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/studies/digits", "/studies/digits/front.svg", "/healthz", "/static/style.css"])
def test_only_reading_is_possible(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path, json={}).status_code == 405


def test_a_refused_method_says_what_is_allowed(client: TestClient) -> None:
    answer = client.post("/", json={})
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert "Pages only show" in Page(answer.text).words


def assert_unavailable(client: TestClient, words: str) -> None:
    for path in ("/", "/studies/digits", "/studies/digits/front.svg"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        page = Page(answer.text)
        assert words in page.words
        assert "Traceback" not in page.words


def test_a_record_of_a_newer_version_is_named(client: TestClient, digits: Repository, database: Path) -> None:
    digits.close()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert_unavailable(client, "must install that one")


def test_a_damaged_record_is_named(client: TestClient, database: Path) -> None:
    database.write_bytes(b"this is no database" * 1000)
    assert_unavailable(client, "is damaged or belongs to another program")


def test_the_database_of_another_program_is_named(client: TestClient, database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    assert_unavailable(client, "is damaged or belongs to another program")


def test_a_folder_in_the_place_of_the_record_is_named(client: TestClient, database: Path) -> None:
    database.unlink()
    database.mkdir()
    assert_unavailable(client, "cannot be written at this moment")


def test_a_locked_record_is_named_without_a_long_wait(settings: ServiceSettings, database: Path) -> None:
    hasty = create_app(replace(settings, busy_timeout_ms=20))
    with (
        TestClient(hasty, base_url=HERE, headers=ADMIN.headers) as client,
        closing(sqlite3.connect(database)) as connection,
    ):
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert_unavailable(client, "locked, unreachable or cannot be written")
        assert time.monotonic() - began < 10


def test_what_an_unavailable_record_says_names_no_place(client: TestClient, database: Path) -> None:
    database.unlink()
    for path in ("/", "/api/v1/studies", "/readyz"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert str(database.parent) not in answer.text


def test_a_fault_of_our_own_tells_nobody_its_insides(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(pages, "render", fail)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "a secret" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
