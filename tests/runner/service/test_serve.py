"""`supernaut serve` as a process: what it prints and leaves, how it ends."""

import json
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from runner.cli.serve import OwnWorker, _check_reach, _listen
from runner.errors import CONFLICT, USAGE, SpecError
from runner.service.auth import new_token
from runner.store import Repository, open_repository


def command(home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "runner.cli.main", "--home", str(home), *options]


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A server, its address, and the link that it printed."""
    process = subprocess.Popen(
        command(home, "serve", "--no-worker", *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+", process.stdout.readline())
            link = re.search(r"http://\S+/login\S+", process.stdout.readline())
            assert address is not None, process.communicate()
            assert link is not None, process.communicate()
            assert "record" in process.stdout.readline()
            assert "no worker" in process.stdout.readline()
            yield process, address[0], link[0]
        finally:
            process.kill()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.slow
def test_it_answers_until_ctrl_c_and_leaves_only_what_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, "--port", "0") as (process, address, link):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/", timeout=10)
        assert refused.value.code == 401
        refused.value.close()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with browser.open(link, timeout=10) as answer:
            assert b"/static/pages/studies.js" in answer.read()
            assert "server" not in {name.lower() for name in answer.headers}
        fresh = subprocess.run(command(home, "open"), capture_output=True, text=True, check=True)
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar())).open(
            fresh.stdout.strip(), timeout=10
        ) as answer:
            assert answer.status == 200
        found = json.loads((home / "server.json").read_text(encoding="utf-8"))
        assert (found["url"], found["pid"]) == (address, process.pid)
        assert [mode(home / name) for name in ("server.json", "token", "supernaut.db")] == [0o600] * 3
        assert mode(home) == 0o700
        token = (home / "token").read_text(encoding="ascii").strip()
        listening = urllib.request.Request(f"{address}/api/v1/events", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(listening, timeout=10) as stream:
            assert stream.readline().startswith(b"retry:")
            process.send_signal(signal.SIGINT)
            stream.read()
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "")
        assert out.strip().endswith("stopped")
    assert not (home / "server.json").exists()
    assert token not in out
    with serving(home, "--port", "0") as (_, address, _):
        assert (home / "token").read_text(encoding="ascii").strip() == token
    gone = subprocess.run(command(home, "open"), capture_output=True, text=True, check=False)
    assert gone.returncode == 5
    assert "supernaut serve" in gone.stderr


@pytest.mark.slow
def test_an_address_beyond_this_machine_ends_with_the_code_for_usage(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path, "serve", "--host", "0.0.0.0"), capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert "--public-host NAME" in done.stderr
    assert "TLS" in done.stderr
    assert "ssh -L 8000:127.0.0.1:8000" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_port_in_use_ends_with_the_code_for_conflict(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            command(tmp_path, "serve", "--port", str(port)), capture_output=True, text=True, check=False
        )
    assert done.returncode == CONFLICT
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Repository]:
    with open_repository(tmp_path / "supernaut.db") as repository:
        yield repository


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.0.1", "example.org"])
def test_addresses_beyond_this_machine_need_a_public_name_and_a_token(empty: Repository, host: str) -> None:
    with pytest.raises(SpecError, match="--public-host NAME"):
        _check_reach(host, (), empty)
    with pytest.raises(SpecError, match="supernaut token create"):
        _check_reach(host, ("example.org",), empty)
    record, _ = new_token(owner="anna", name="t", scopes=["read"], kind="token", now=datetime.now(UTC))
    empty.create_token(record)
    _check_reach(host, ("example.org",), empty)
    empty.revoke_token(record.id)
    with pytest.raises(SpecError, match="supernaut token create"):
        _check_reach(host, ("example.org",), empty)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_addresses_of_this_machine_need_nothing(empty: Repository, host: str) -> None:
    _check_reach(host, (), empty)


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1")])
def test_addresses_of_this_machine_are_taken(host: str, address: str) -> None:
    with _listen(host, 0) as listening:
        assert listening.getsockname()[0] == address


def test_the_other_loopback_address_is_taken_where_there_is_one() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    with _listen("[::1]", 0) as listening:
        assert listening.getsockname()[0] == "::1"


@pytest.mark.parametrize(
    ("code", "words"), [("raise SystemExit(3)", "exit code 3"), ("import os; os.abort()", "signal 6")]
)
def test_a_worker_that_always_ends_is_started_three_times_and_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, code: str, words: str
) -> None:
    starts = tmp_path / "starts"
    worker = OwnWorker([sys.executable, "-S", "-c", f"open({str(starts)!r}, 'a').write('x'); {code}"], pause_s=0.01)
    worker._watching.join(30)
    worker.end()
    told = capsys.readouterr().err
    assert starts.read_text() == "xxx"
    assert told.count(words) == 3
    assert told.count("another one is started") == 2
    assert "supernaut worker" in told.splitlines()[-1]


def test_a_worker_that_is_killed_is_followed_by_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    worker = OwnWorker([sys.executable, "-S", "-c", "import time; time.sleep(60)"], pause_s=0.01)
    first = worker._process
    first.kill()
    deadline = time.monotonic() + 30
    while worker._process is first:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "by signal 9; another one is started" in capsys.readouterr().err
    worker.end()
    assert worker._process.returncode == -signal.SIGTERM
    assert not capsys.readouterr().err


def test_small_answers_do_not_wait_for_larger_ones() -> None:
    with _listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # by which asyncio knows that it may send at once
