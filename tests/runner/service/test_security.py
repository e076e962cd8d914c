import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from runner.service.hosts import is_loopback, is_own_host
from runner.store import Repository

PATHS = ["/", "/studies/digits", "/studies/digits/front.svg", "/healthz", "/static/style.css", "/nothing"]
OURS = ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000", "127.0.0.2:8000"]
THEIRS = [
    "", "evil.example", "evil.example:8000", "localhost", "127.0.0.1", "localhost:8001", "localhost.:8000",
    "localhost.evil.example:8000", "127.0.0.1.evil.example:8000", "evil.example#localhost:8000",
    "evil.example@localhost:8000", "localhost:8000@evil.example", "localhost:8000 ", "localhost:+8000", "localhost:",
    "0.0.0.0:8000", "[::]:8000", "192.168.1.1:8000", "127.1:8000", "2130706433:8000", "0x7f000001:8000",
    "[::ffff:127.0.0.1]:8000", "[127.0.0.1]:8000x", "::1:8000", "localhost:8000,evil.example", "lo\u0441alhost:8000",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_headers(client: TestClient, digits: Repository, path: str) -> None:
    headers = client.get(path).headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["content-security-policy"].split(";")}
    assert (
        policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    )
    if path.endswith("front.svg"):
        assert set(policy) == {"default-src", "form-action", "frame-ancestors", "base-uri", "style-src"}
        assert policy["style-src"][0].startswith("'sha256-")
    else:
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
        assert policy["img-src"] == ["'self'", "data:"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "unsafe" not in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_names_of_this_machine_are_answered(client: TestClient) -> None:
    for host in OURS:
        assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_other_names_are_refused_on_every_path(client: TestClient, digits: Repository) -> None:
    for path in PATHS:
        for host in THEIRS[1:4]:
            answer = client.get(path, headers={"host": host})
            assert answer.status_code == 421
            assert "localhost:8000" in answer.text
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_only_looks_like_this_machine_is_refused() -> None:
    for host in THEIRS:
        assert not is_own_host(host, 8000)


def test_two_hosts_or_none_are_refused_and_forwarded_ones_ignored(client: TestClient) -> None:
    both = [("host", "localhost:8000"), ("host", "evil.example")]
    assert client.get("/healthz", headers=both).status_code == 421
    forwarded = {"host": "evil.example", "x-forwarded-host": "localhost:8000", "forwarded": "host=localhost:8000"}
    assert client.get("/healthz", headers=forwarded).status_code == 421
    assert client.get("/healthz", headers={"x-forwarded-host": "evil.example"}).status_code == 200


def test_without_a_port_a_host_means_port_80() -> None:
    assert is_own_host("localhost", 80)
    assert is_own_host("[::1]", 80)
    assert not is_own_host("localhost:80", 8000)


@given(st.text(), st.integers(0, 65535))
def test_no_text_breaks_the_check(host: str, port: int) -> None:
    assert is_own_host(host, port) in (True, False)


@pytest.mark.parametrize("name", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_loopback_names(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name", ["", "0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.", "127.0.0.1.example.org"]
)
def test_names_beyond_this_machine(name: str) -> None:
    assert not is_loopback(name)
