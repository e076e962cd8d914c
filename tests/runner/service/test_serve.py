"""`supernaut serve` as a process: what it prints, how it ends."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.cli.serve import _listen
from runner.errors import CONFLICT, USAGE, SpecError


def command(home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "runner.cli.main", "--home", str(home), "serve", *options]


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server and its address."""
    process = subprocess.Popen(command(home, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, process.communicate()
            yield process, found[0]
        finally:
            process.kill()


def test_it_answers_until_ctrl_c_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--port", "0") as (process, address):
        with urllib.request.urlopen(f"{address}/", timeout=10) as answer:
            assert b"No study yet" in answer.read()
            assert "server" not in {name.lower() for name in answer.headers}
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (0, "")
        assert out.strip().endswith("stopped")
    assert not (tmp_path / "home").exists()


def test_another_address_ends_with_the_code_for_usage(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path, "--host", "0.0.0.0"), capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert "no authentication" in done.stderr
    assert "ssh -L 8000:127.0.0.1:8000" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_ends_with_the_code_for_conflict(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(command(tmp_path, "--port", str(port)), capture_output=True, text=True, check=False)
    assert done.returncode == CONFLICT
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.0.1", "example.org"])
def test_addresses_beyond_this_machine_are_refused(host: str) -> None:
    with pytest.raises(SpecError, match="no authentication"):
        _listen(host, 0)


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
