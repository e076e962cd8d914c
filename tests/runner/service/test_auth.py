"""Who may do what: tokens, scopes, links, sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runner.service.auth import FIRST_LINK_LIFE, LINK_LIFE, SESSION_LIFE, new_token, verify
from tests.runner.service.callers import ADMIN, ANNA, BEGUN, READER, SUBMITTER
from tests.runner.service.pages import Page
from tests.runner.service.requests_for import operations

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from runner.store import Repository
    from runner.store.records import TokenKind

NOW = BEGUN + timedelta(hours=1)
OPEN = {"/healthz", "/readyz"}


def test_every_route_needs_a_token(stranger: TestClient, service: FastAPI) -> None:
    asked = operations(service)
    for operation in asked:
        answer = stranger.request(operation.method, operation.at(), json=operation.body)
        if operation.path in OPEN:
            assert answer.status_code == 200
            continue
        assert answer.status_code == 401, operation
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "unauthenticated"
    assert {operation.path for operation in asked} > OPEN


def test_so_does_everything_that_is_not_documented(stranger: TestClient) -> None:
    for path in ["/", "/studies/digits", "/studies/digits/front.svg", "/openapi.json", "/nothing"]:
        assert stranger.get(path).status_code == 401


def test_a_page_without_a_session_says_how_to_get_one(stranger: TestClient) -> None:
    page = Page(stranger.get("/").text)
    assert "supernaut serve" in page.words
    assert "supernaut open" in page.words
    assert stranger.get("/static/style.css").status_code == 200


def test_what_is_no_token_opens_nothing(stranger: TestClient) -> None:
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer sn_",
        f"Basic {ADMIN.text}",
        ADMIN.text,
        f"Bearer {ADMIN.text}x",
        f"Bearer {ADMIN.text[:-1]}",
        f"Bearer {ADMIN.text.upper()}",
        f"Bearer sn_{ADMIN.record.id}_{'A' * 43}",
        f"Bearer sn_{'0' * 16}_{'A' * 43}",
        f"Bearer sn_{ANNA.record.id}_{ADMIN.text.split('_', 2)[2]}",
        f"Bearer {ADMIN.text}, Bearer {ANNA.text}",
        "Bearer " + "a" * 7000,
        "Bearer \u00e9",
    ]:
        answer = stranger.get("/api/v1/studies", headers={"authorization": header.encode()})
        assert answer.status_code == 401
        assert ADMIN.text not in answer.text


def test_two_tokens_at_once_open_nothing(stranger: TestClient) -> None:
    both = [("authorization", f"Bearer {caller.text}") for caller in (ADMIN, ANNA)]
    assert stranger.get("/api/v1/studies", headers=both).status_code == 401


def test_a_token_that_was_revoked_or_expired_opens_nothing(stranger: TestClient, repository: Repository) -> None:
    short, text = new_token(
        owner="anna", name="t", scopes=["read"], kind="token", now=BEGUN, life=timedelta(minutes=59)
    )
    long, other = new_token(
        owner="anna", name="t", scopes=["read"], kind="token", now=BEGUN, life=timedelta(minutes=61)
    )
    repository.create_token(short)
    repository.create_token(long)
    for given, status in ((text, 401), (other, 200)):
        assert stranger.get("/api/v1/studies", headers={"authorization": f"Bearer {given}"}).status_code == status
    repository.revoke_token(long.id)
    assert stranger.get("/api/v1/studies", headers={"authorization": f"Bearer {other}"}).status_code == 401


def test_a_scope_allows_what_it_says(stranger: TestClient, service: FastAPI, digits: Repository) -> None:
    del digits
    for operation in operations(service):
        if operation.path in OPEN or operation.is_stream:
            continue
        for caller, may in ((READER, not operation.is_unsafe), (SUBMITTER, operation.is_unsafe)):
            of_tokens = operation.path.startswith("/api/v1/tokens")
            allowed = False if of_tokens else (caller is READER) if operation.name == "create_link" else may
            answer = stranger.request(operation.method, operation.at(), json=operation.body, headers=caller.headers)
            assert (answer.status_code != 403) == allowed, (operation, caller.record.scopes, answer.text)


@pytest.mark.parametrize("kind", ["session", "link"])
def test_a_session_or_a_link_is_no_token(stranger: TestClient, repository: Repository, kind: TokenKind) -> None:
    record, text = new_token(owner="local", name="t", scopes=["admin"], kind=kind, now=BEGUN)
    repository.create_token(record)
    assert stranger.get("/api/v1/studies", headers={"authorization": f"Bearer {text}"}).status_code == 401
    assert verify(repository, text, (kind,), NOW) is not None


def test_a_token_is_no_session(stranger: TestClient) -> None:
    assert stranger.get("/", headers={"cookie": f"supernaut_8000={ADMIN.text}"}).status_code == 401


def link(repository: Repository, **more: object) -> str:
    record, text = new_token(
        **{  # type: ignore[arg-type]
            "owner": "anna",
            "name": "t",
            "scopes": ["read"],
            "kind": "link",
            "now": NOW,
            "life": LINK_LIFE,
            **more,
        }
    )
    repository.create_token(record)
    return text


def test_a_link_begins_a_session_once(stranger: TestClient, repository: Repository) -> None:
    code = link(repository)
    answer = stranger.get("/login", params={"code": code}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("supernaut_8000=sn_")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={int(SESSION_LIFE.total_seconds())}"} <= parts
    assert code not in cookie
    assert stranger.get("/").status_code == 200
    stranger.cookies.clear()
    assert stranger.get("/login", params={"code": code}).status_code == 401
    assert stranger.get("/").status_code == 401


def test_what_is_no_link_begins_nothing(stranger: TestClient) -> None:
    for code in ["", "sn_", "x" * 5000, ADMIN.text, "\x00", "<script>alert(1)</script>"]:
        answer = stranger.get("/login", params={"code": code})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "<script>alert" not in answer.text


def test_a_link_that_is_too_old_begins_nothing(stranger: TestClient, repository: Repository) -> None:
    late = link(repository, now=BEGUN, life=timedelta(minutes=30))
    assert stranger.get("/login", params={"code": late}).status_code == 401
    assert LINK_LIFE < FIRST_LINK_LIFE


def test_looking_at_a_link_or_coming_from_another_site_does_not_use_it_up(
    stranger: TestClient, repository: Repository
) -> None:
    code = link(repository)
    assert stranger.head("/login", params={"code": code}).status_code == 405
    answer = stranger.get("/login", params={"code": code}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert stranger.get("/login", params={"code": code}).status_code == 200


def test_the_session_s_owner_and_scopes_are_those_of_the_token_that_asked(
    stranger: TestClient, digits: Repository
) -> None:
    made = stranger.post("/api/v1/login-links", json={}, headers=ANNA.headers)
    assert made.status_code == 201
    assert stranger.get(made.json()["url"]).status_code == 200
    assert stranger.get("/api/v1/studies").json()["items"] == []
    assert stranger.get("/studies/digits").status_code == 404
    sessions = [token for token in digits.tokens("anna") if token.kind == "session"]
    assert [session.scopes for session in sessions] == [("read", "submit")]
    digits.revoke_token(sessions[0].id)
    assert stranger.get("/").status_code == 401


def test_a_token_is_shown_once_and_never_its_secret(client: TestClient, repository: Repository) -> None:
    asked = {"name": "ci", "scopes": ["read"], "owner": "anna", "expires_in_days": 3}
    made = client.post("/api/v1/tokens", json=asked).json()
    secret = made.pop("token")
    assert (made["owner"], made["scopes"], made["kind"]) == ("anna", ["read"], "token")
    headers = {"authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/studies", headers=headers).json()["items"] == []
    listed = client.get("/api/v1/tokens", params={"owner": "anna"})
    assert made["id"] in {token["id"] for token in listed.json()["items"]}
    kept = repository.token(made["id"]).secret_sha256
    for text in (secret.split("_", 2)[2], kept):
        assert text not in listed.text
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert client.get("/api/v1/studies", headers=headers).status_code == 401
    assert client.delete(f"/api/v1/tokens/{'0' * 16}").status_code == 404


def test_when_a_token_was_last_used_is_written_beside_the_requests(
    service: FastAPI, stranger: TestClient, repository: Repository
) -> None:
    stranger.get("/api/v1/studies", headers=ANNA.headers)
    assert repository.token(ANNA.record.id).last_used_at is None
    stranger.__exit__()
    assert repository.token(ANNA.record.id).last_used_at == NOW
    assert service.state.service.hub.listening == 0
