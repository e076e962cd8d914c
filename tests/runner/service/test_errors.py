"""Every error ends in a page that says what happened, never in a traceback."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from runner.service import app, reading
from runner.store import Repository
from tests.runner.service.pages import Page
from tests.runner.service.studies import create_study


@pytest.mark.parametrize("path", ["/studies/nobody", "/studies/nobody/front.svg"])
def test_an_unknown_study_is_answered_with_those_there_are(client: TestClient, digits: Repository, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "there is no study 'nobody'. Recorded: digits" in Page(answer.text).words


def test_without_a_record_no_study_is_found_and_none_is_made(client: TestClient, database: Path) -> None:
    assert client.get("/studies/digits").status_code == 404
    assert not database.parent.exists()


def test_a_beginning_that_several_ids_have_is_answered_with_them(client: TestClient, digits: Repository) -> None:
    ids = [create_study(digits, f"study-{index}").id for index in range(17)]
    shared = next(first for first in "0123456789abcdef" if sum(each.startswith(first) for each in ids) > 1)
    answer = client.get(f"/studies/{shared}")
    assert answer.status_code == 404
    assert "give more characters, or the name" in Page(answer.text).words


@pytest.mark.parametrize(
    "path", ["/nothing", "/studies/", "/openapi.json", "/docs", "/static/../app.py", "/static/%2e%2e/app.py"]
)
def test_other_addresses_have_a_page_too(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "All studies" in Page(answer.text).words


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/studies/digits", "/studies/digits/front.svg", "/healthz", "/static/style.css"])
def test_only_reading_is_possible(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 405


def test_a_refused_method_says_what_is_allowed(client: TestClient) -> None:
    answer = client.post("/")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert "only reads" in Page(answer.text).words


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
    assert_unavailable(client, "install the newer version that wrote it")


def test_a_damaged_record_is_named(client: TestClient, database: Path) -> None:
    database.parent.mkdir()
    database.write_bytes(b"this is no database" * 1000)
    assert_unavailable(client, "it is damaged")


def test_the_database_of_another_program_is_named(client: TestClient, database: Path) -> None:
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    assert_unavailable(client, "belongs to another program")


def test_a_folder_in_the_place_of_the_record_is_named(client: TestClient, database: Path) -> None:
    database.mkdir(parents=True)
    assert_unavailable(client, "cannot be opened")


def test_a_locked_record_is_named_without_a_long_wait(
    client: TestClient, digits: Repository, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PATIENCE_MS", 20)
    digits.close()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        assert_unavailable(client, "locked by another process")


def test_a_folder_that_may_not_be_looked_into_is_named(
    client: TestClient, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    assert_unavailable(client, "Permission denied")


def test_a_fault_of_our_own_tells_nobody_its_insides(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(app, "is_begun", fail)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "a secret" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
