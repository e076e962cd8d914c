"""Where requests that change something may come from, and what they may look like."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from runner.errors import SpecError
from runner.service.app import create_app
from runner.service.auth import new_token
from runner.service.hosts import Hosts, public_host
from tests.runner.service.callers import ADMIN, BEGUN
from tests.runner.service.conftest import HERE
from tests.runner.service.requests_for import operations

if TYPE_CHECKING:
    from fastapi import FastAPI

    from runner.service.settings import ServiceSettings
    from runner.store import Repository

ELSEWHERE = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:8001"},
    {"origin": "https://127.0.0.1:8000"},
    {"origin": "http://localhost:8000"},  # another name of this machine is another site
    {"origin": "http://127.0.0.1:8000.evil.example"},
    {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "nonsense"},
]
FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "", "text/json"]


def begin_session(client: TestClient, repository: Repository) -> None:
    """What a link would do."""
    record, text = new_token(
        owner="local", name="t", scopes=["admin"], kind="session", now=BEGUN, life=timedelta(days=1)
    )
    repository.create_token(record)
    client.cookies.set("supernaut_8000", text)


def content(repository: Repository) -> object:
    return [(study.name, study.desired_state, study.notes) for study in repository.studies()]


@pytest.mark.parametrize("headers", [*ELSEWHERE, {}], ids=str)
def test_a_session_changes_nothing_for_another_site(
    stranger: TestClient, service: FastAPI, digits: Repository, headers: dict[str, str]
) -> None:
    begin_session(stranger, digits)
    before = content(digits)
    for operation in operations(service):
        if operation.is_unsafe:
            answer = stranger.request(operation.method, operation.at(), json=operation.body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site"), operation
    assert content(digits) == before


def test_neither_does_a_token_in_another_site_s_page(client: TestClient) -> None:
    for headers in ELSEWHERE:
        assert client.post("/api/v1/tokens", json={}, headers=headers).json()["code"] == "cross_site"


@pytest.mark.parametrize("headers", [{"origin": HERE}, {"origin": HERE, "sec-fetch-site": "same-origin"}])
def test_our_own_pages_change_things(stranger: TestClient, repository: Repository, headers: dict[str, str]) -> None:
    begin_session(stranger, repository)
    asked = {"name": "t", "scopes": ["read"]}
    assert stranger.post("/api/v1/tokens", json=asked, headers=headers).status_code == 201


def test_a_program_with_a_token_needs_no_origin(client: TestClient) -> None:
    assert client.post("/api/v1/tokens", json={"name": "t", "scopes": ["read"]}).status_code == 201


def test_what_a_form_can_send_is_no_request(client: TestClient, service: FastAPI) -> None:
    for kind in FORMS:
        for operation in operations(service):
            if operation.body is not None:
                answer = client.request(
                    operation.method, operation.at(), content=b'{"spec": {}}', headers={"content-type": kind}
                )
                assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), operation


def test_a_request_without_a_body_changes_nothing(client: TestClient, service: FastAPI) -> None:
    for operation in operations(service):
        if operation.body is not None:
            assert client.request(operation.method, operation.at()).status_code == 415
    assert client.get("/api/v1/studies/digits/delete").status_code == 404


def test_no_other_site_is_ever_told_that_it_may_read(client: TestClient) -> None:
    for method in ("GET", "OPTIONS"):
        answer = client.request(
            method,
            "/api/v1/studies",
            headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
        )
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture
def public(settings: ServiceSettings) -> TestClient:
    """A server that is reached through example.org, too."""
    app = create_app(replace(settings, hosts=Hosts(8000, ("example.org", "other.example:8443"))))
    return TestClient(app, base_url="https://example.org", headers=ADMIN.headers)


def test_a_public_name_is_answered_and_no_other(public: TestClient) -> None:
    for host, status in [
        ("example.org", 200),
        ("EXAMPLE.org", 200),
        ("example.org:443", 200),
        ("other.example:8443", 200),
        ("localhost:8000", 200),
        ("example.org:8000", 421),
        ("other.example", 421),
        ("www.example.org", 421),
        ("example.org.", 421),
        ("example.org.evil.example", 421),
        ("evil.example", 421),
    ]:
        answer = public.get("/api/v1/studies", headers={"host": host})
        assert answer.status_code == status
        if status == 421:
            assert answer.json()["code"] == "misdirected"


def test_the_origin_of_a_public_name_is_https_and_its_session_is_secure(
    public: TestClient, repository: Repository
) -> None:
    asked = {"name": "t", "scopes": ["read"]}
    for origin, status in (("https://example.org", 201), ("http://example.org", 403), ("https://evil.example", 403)):
        assert public.post("/api/v1/tokens", json=asked, headers={"origin": origin}).status_code == status
    link = public.post("/api/v1/login-links", json={}).json()["url"]
    assert link.startswith("https://example.org/login?code=")
    answer = public.get(link, follow_redirects=False)
    assert "secure" in answer.headers["set-cookie"].lower()
    assert repository.tokens("local")


@pytest.mark.parametrize(
    "name", ["", "http://example.org", "example.org/", "-a.example", "a b", "*", "*.example.org", "a:99999", "\u0430"]
)
def test_what_is_no_public_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="--public-host"):
        public_host(name)


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("192.0.2.1", "http://192.0.2.1:8000"),
    ],
)
def test_programs_on_this_machine_are_told_an_address_that_answers(address: str, here: str) -> None:
    hosts = Hosts(8000, (), address)
    assert hosts.here == here
    assert hosts.answers(here.removeprefix("http://"))
    assert not hosts.answers("192.0.2.2:8000")
