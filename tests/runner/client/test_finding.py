"""Which server is asked, and which token it gets to see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.client.finding import Server, find_server, running_url
from runner.errors import Refused, ServerUnreachable, exit_code
from runner.settings import Home

HERE = "http://127.0.0.1:8123"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder; the environment names no server."""
    monkeypatch.delenv("SUPERNAUT_SERVER", raising=False)
    monkeypatch.delenv("SUPERNAUT_TOKEN", raising=False)
    return Home(tmp_path)


def serve(home: Home, url: str = HERE, pid: int | None = None, token: str = "sn_own") -> None:
    (home.path / "server.json").write_text(json.dumps({"url": url, "pid": pid or os.getpid(), "version": "1"}))
    (home.path / "token").write_text(f"{token}\n")


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_server_of_the_state_folder(home: Home) -> None:
    serve(home)
    assert find_server(home=home) == Server(url=HERE, token="sn_own")


def test_without_a_server_it_says_how_to_start_one(home: Home) -> None:
    with pytest.raises(ServerUnreachable, match="supernaut serve") as raised:
        find_server(home=home)
    assert exit_code(raised.value) == 5


def test_a_server_that_was_killed_is_none(home: Home) -> None:
    serve(home, pid=ended_process())
    assert running_url(home) is None
    with pytest.raises(ServerUnreachable, match="supernaut serve"):
        find_server(home=home)


@pytest.mark.parametrize("written", ["", "no json", "[]", "{}", '{"pid": "1"}', '{"pid": -1}', '{"pid": true}'])
def test_a_damaged_file_names_no_server(home: Home, written: str) -> None:
    (home.path / "server.json").write_text(written)
    with pytest.raises(ServerUnreachable):
        find_server(home=home)


def test_the_environment_names_both(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(home)
    monkeypatch.setenv("SUPERNAUT_SERVER", "https://supernaut.example.org/")
    monkeypatch.setenv("SUPERNAUT_TOKEN", "sn_theirs")
    assert find_server(home=home) == Server(url="https://supernaut.example.org", token="sn_theirs")
    assert find_server("http://other:1", "sn_given", home) == Server(url="http://other:1", token="sn_given")


def test_the_token_of_the_state_folder_goes_to_its_own_server_only(home: Home) -> None:
    serve(home)
    assert find_server("http://evil.example", home=home).token is None
    assert find_server("http://127.0.0.1:8124", home=home).token is None
    assert find_server(f"{HERE}/", home=home).token == "sn_own"


@pytest.mark.parametrize(
    "url",
    [
        "supernaut.example.org",
        "ftp://x",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@host",
        "http://host?x=1",
        "http://host#x",
        "http://host:99999",
        "http://[::1",
    ],
)
def test_what_is_no_address(home: Home, url: str) -> None:
    with pytest.raises(Refused, match="http://HOST:PORT"):
        find_server(url, "sn_x", home)


@pytest.mark.parametrize("token", ["sn_x\r\nX-Evil: 1", "sn x", "sn_ü", "x" * 600])
def test_what_is_no_token_is_not_repeated(home: Home, token: str) -> None:
    with pytest.raises(Refused) as raised:
        find_server(HERE, token, home)
    assert token not in str(raised.value)


def test_a_token_is_not_shown() -> None:
    assert "sn_secret" not in repr(Server(url=HERE, token="sn_secret"))
