"""Studies over the API: once each, page by page, changed by one person at a time."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runner.service.cursors import query_digest, read_cursor, write_cursor
from runner.service.problems import Problem
from tests.runner.service.callers import ADMIN, ANNA, BORIS
from tests.runner.service.requests_for import SPEC
from tests.runner.service.studies import create_study, start_study

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.settings import Home
    from runner.store import Repository

STUDIES = "/api/v1/studies"


def submit(client: TestClient, key: str | None = None, **more: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return client.post(STUDIES, json={"spec": {**SPEC, **more}}, headers=headers)


def test_the_same_request_with_the_same_key_is_answered_once(client: TestClient, repository: Repository) -> None:
    first, second = submit(client, "k1"), submit(client, "k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(repository.studies()) == 1


def test_the_same_key_with_another_body_is_refused(client: TestClient, repository: Repository) -> None:
    submit(client, "k1")
    answer = submit(client, "k1", name="other")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert [study.name for study in repository.studies()] == ["new"]


def test_keys_of_two_people_do_not_meet(client: TestClient, repository: Repository) -> None:
    for caller in (ANNA, BORIS):
        client.headers.update(caller.headers)
        assert submit(client, "k1").status_code == 201
    assert {study.owner for study in repository.studies()} == {"anna", "boris"}


def test_what_cannot_be_a_key_is_refused(client: TestClient, repository: Repository) -> None:
    for key in ["", "a" * 256, "a b", "\x01"]:
        assert submit(client, key).json()["code"] == "bad_idempotency_key"
        assert repository.studies() == ()


def test_concurrent_requests_with_one_key_make_one_study(client: TestClient, repository: Repository) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: submit(client, "k1"), range(16)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(answer.json()["code"] == "idempotency_busy" for answer in answers if answer.status_code == 409)
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 409)
    (study,) = repository.studies()
    assert {answer.json()["id"] for answer in answers if answer.status_code == 201} == {study.id}


def test_a_server_that_dies_before_it_answers_leaves_one_study(
    client: TestClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if killed between the study and the record of the answer, then asked again when the key is free."""
    from runner.store.repository import Repository as Kind

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(Kind, "finish_idempotent", die)
        assert submit(client, "k1").status_code == 500
    repository.abandon_idempotent("local", "k1")  # as a minute would
    answer = submit(client, "k1")
    assert answer.status_code == 201
    assert [study.id for study in repository.studies()] == [answer.json()["id"]]


def test_a_request_that_made_nothing_can_be_repeated_with_its_key(client: TestClient) -> None:
    submit(client)
    assert submit(client, "k1").status_code == 409
    assert client.delete(f"{STUDIES}/new").status_code == 204
    assert submit(client, "k1").status_code == 201


@pytest.fixture
def many(repository: Repository) -> Repository:
    for index in range(25):
        create_study(repository, f"study-{index:02d}")
    start_study(repository, repository.study("study-03"))
    return repository


def pages(client: TestClient, path: str, **query: object) -> list[Any]:
    found, cursor = [], None
    for _ in range(50):
        answer = client.get(path, params={**query, **({} if cursor is None else {"cursor": cursor})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


def test_pages_hold_every_study_once(client: TestClient, many: Repository) -> None:
    for sort in ["-created_at", "created_at", "name", "-name", "-updated_at", "updated_at"]:
        for limit in [4, 25]:
            names = [study["name"] for study in pages(client, STUDIES, sort=sort, limit=limit)]
            assert sorted(names) == sorted(study.name for study in many.studies())
            if sort.endswith("name"):
                assert names == sorted(names, reverse=sort.startswith("-"))


def test_lists_are_searched_and_filtered(client: TestClient, many: Repository) -> None:
    del many
    assert [study["name"] for study in pages(client, STUDIES, state="running")] == ["study-03"]
    assert len(pages(client, STUDIES, search="DY-1", limit=3)) == 10
    assert pages(client, STUDIES, search="%") == pages(client, STUDIES, search="_") == []


def test_odd_queries_are_refused(client: TestClient) -> None:
    for query in [
        {"limit": 0},
        {"limit": 501},
        {"limit": 10**9},
        {"limit": "x"},
        {"sort": "name;drop"},
        {"state": "odd"},
        {"search": "x" * 65},
    ]:
        assert client.get(STUDIES, params=query).json()["code"] == "invalid"  # type: ignore[arg-type]


def test_a_cursor_belongs_to_its_query(client: TestClient, many: Repository) -> None:
    del many
    cursor = client.get(STUDIES, params={"limit": 3, "sort": "name"}).json()["next_cursor"]
    assert client.get(STUDIES, params={"limit": 9, "sort": "name", "cursor": cursor}).status_code == 200
    for query in ({"sort": "-name"}, {"sort": "name", "search": "study"}, {"sort": "name", "state": "running"}):
        answer = client.get(STUDIES, params={**query, "cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor_of_another_query")
    other = client.get(STUDIES, params={"sort": "name", "cursor": cursor}, headers=ANNA.headers)
    assert other.json()["code"] == "cursor_of_another_query"


def test_what_is_no_cursor_is_refused(client: TestClient, many: Repository) -> None:
    del many
    cursor = client.get(STUDIES, params={"limit": 3}).json()["next_cursor"]
    for given in ("", "x", cursor[:-4], cursor[1:], f"{cursor}A", cursor.swapcase(), "\u00e9", "A" * 5000):
        answer = client.get(STUDIES, params={"cursor": given})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), given


def test_a_forged_cursor_is_a_problem_and_no_fault(client: TestClient, many: Repository) -> None:
    del many
    for after in [(), (1,), (None, None), ("x", 3), (["a"], "b"), ({}, "b"), (True, "b"), ("a", "b", 1)]:
        for sort in ("-created_at", "name"):
            query = query_digest(what="studies", sees=None, state=None, search=None, sort=sort)
            cursor = write_cursor(query, after)
            answer = client.get(STUDIES, params={"sort": sort, "cursor": cursor})  # type: ignore[arg-type]
            assert answer.status_code in (200, 400), answer.text
            if answer.status_code == 400:
                assert answer.json()["code"] == "bad_cursor"


def test_cursors_come_back_as_they_were() -> None:
    query = query_digest(a=1)
    for after in (("2026-01-01T00:00:00+00:00", "abc"), (0.1, 3), (None, 3), ("\u00e9\u202e", 2**60)):
        assert read_cursor(query, write_cursor(query, after)) == after
    assert write_cursor(query, None) is read_cursor(query, None) is None
    with pytest.raises(Problem, match="without a cursor"):
        read_cursor(query_digest(a=2), write_cursor(query, ("a", "b")))


def test_notes_and_tags_are_edited_by_who_has_seen_them(client: TestClient, digits: Repository) -> None:
    path = f"{STUDIES}/digits"
    seen = client.get(path).headers["etag"]
    answer = client.patch(path, json={"notes": "mine", "tags": ["a", "b"]}, headers={"if-match": seen})
    assert (answer.status_code, answer.json()["notes"], answer.json()["tags"]) == (200, "mine", ["a", "b"])
    assert answer.headers["etag"] == client.get(path).headers["etag"] != seen
    stale = client.patch(path, json={"notes": "theirs"}, headers={"if-match": seen})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_revision")
    for etag in ('W/"2"', "2", '"x"', "", '"999999999999999999"'):
        assert client.patch(path, json={"notes": "theirs"}, headers={"if-match": etag}).status_code == 412
    missing = client.patch(path, json={"tags": []})
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    assert digits.study("digits").notes == "mine"
    assert client.patch(path, json={"notes": ""}, headers={"if-match": "*"}).json()["notes"] == ""


def test_odd_changes_are_refused(client: TestClient, digits: Repository) -> None:
    for change in [
        {"notes": "x" * 20_001},
        {"tags": ["x"] * 33},
        {"tags": ["x" * 65]},
        {"tags": [""]},
        {"tags": ["a\nb"]},
        {"desired_state": "odd"},
        {"state": "complete"},
        {"owner": "anna"},
        {"notes": 1},
    ]:
        before = digits.study("digits")
        answer = client.patch(f"{STUDIES}/digits", json=change, headers={"if-match": "*"})
        assert answer.json()["code"] == "invalid"
        assert digits.study("digits") == before


def test_a_study_is_stopped_and_resumed(client: TestClient, repository: Repository) -> None:
    submit(client)
    path = f"{STUDIES}/new"
    stopped = client.patch(path, json={"desired_state": "stopped"})
    assert (stopped.status_code, stopped.json()["state"]) == (200, "interrupted")
    assert client.patch(path, json={"desired_state": "stopped"}).status_code == 200
    assert client.patch(path, json={"desired_state": "running"}).json()["desired_state"] == "running"
    told = [event.payload for event in repository.events(repository.study("new").id) if event.kind == "study.desired"]
    assert told
    assert all(ADMIN.text not in str(payload) for payload in told)


def test_a_complete_study_is_not_resumed(client: TestClient, digits: Repository) -> None:
    del digits
    answer = client.patch(f"{STUDIES}/digits", json={"desired_state": "running"})
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")


def test_a_study_is_deleted_with_its_folder(client: TestClient, digits: Repository, home: Home) -> None:
    folder = home.study(digits.study("digits").id)
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_text("x", encoding="utf-8")
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        answer = client.delete(f"{STUDIES}/digits")
        assert (answer.status_code, answer.json()["code"]) == (409, "study_is_running")
    assert client.delete(f"{STUDIES}/digits").status_code == 204
    assert not folder.exists()
    assert client.delete(f"{STUDIES}/digits").status_code == 404


def test_a_study_that_a_worker_holds_is_not_deleted(client: TestClient, repository: Repository) -> None:
    submit(client)
    assert repository.claim_study("w1", 60.0) is not None
    lease = repository.study("new").lease_until
    assert lease is not None
    client.app.state.service.settings.__dict__["now"] = lambda: lease - timedelta(seconds=1)  # type: ignore[attr-defined]
    assert client.delete(f"{STUDIES}/new").json()["code"] == "study_is_running"
    client.app.state.service.settings.__dict__["now"] = lambda: lease + timedelta(seconds=1)  # type: ignore[attr-defined]
    assert client.delete(f"{STUDIES}/new").status_code == 204
