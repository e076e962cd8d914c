"""A Ray of our own: who can reach it, what it leaves behind; and clusters that cannot be used."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.parallel.local_cluster import _environment
from runner.parallel.session import RaySettings, ray_session
from tests.integration.studies import ROOT
from tests.runner.parallel.clusters import Cluster, cluster
from tests.runner.parallel.processes import Marked, wait_until

pytestmark = pytest.mark.slow

_TRY = """
import json, sys
from runner.parallel.session import RaySettings, ray_session
from runner.errors import RunnerError
try:
    with ray_session(RaySettings.from_environment(1)):
        print(json.dumps(["connected", 0, ""]))
except RunnerError as error:
    print(json.dumps([type(error).__name__, error.exit_code, str(error)]))
"""

_LOCAL = """
import json, os, pathlib, signal, sys
import ray
from runner.parallel.session import RaySettings, ray_session

def handler(number, frame): ...
signal.signal(signal.SIGTERM, handler)
before = dict(os.environ)
answers = []
for _ in range(2):
    with ray_session(RaySettings(workers=2)) as session:
        with ray_session(RaySettings(workers=1)) as inner:
            assert inner is session
        pid = ray.get(ray.remote(lambda: os.getpid()).remote())
        folder = session._cluster.folder
        answers.append({
            "modes": [oct(path.stat().st_mode & 0o777) for path in (folder, session._cluster.token_file)],
            "folder": str(folder), "token": session._cluster.token_file.read_text(),
            "address": session._cluster.address(), "pid": pid, "cpus": ray.cluster_resources()["CPU"],
        })
        pathlib.Path(sys.argv[1]).write_text(json.dumps(answers))
        sys.stdin.readline()
assert signal.getsignal(signal.SIGTERM) is handler
changed = {name for name in {*os.environ, *before} if os.environ.get(name) != before.get(name)}
assert not changed, changed
assert not ray.is_initialized()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sn-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def other() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="sn-", dir="/tmp") as name, cluster(Path(name)) as started:
        yield started


def python(marked: Marked, program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        cwd=ROOT,
        env=marked.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def attempt(**variables: str) -> tuple[str, int, str]:
    """What comes of connecting with these variables."""
    marked = Marked(**variables)
    out, err = python(marked, _TRY).communicate(timeout=60)
    assert err == ""
    name, code, message = json.loads(out)
    marked.check_none_left()
    return name, code, message


def listening_addresses(pids: set[int]) -> set[str]:
    """The addresses at which these processes listen for TCP, as the kernel writes them."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].partition(":")[0])
    return found


def answers(folder: Path, process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    """What the program _LOCAL wrote, once it wrote so many entries."""
    found: list[dict[str, Any]] = []

    def written() -> bool:
        assert process.poll() is None, process.communicate()
        with contextlib.suppress(OSError, json.JSONDecodeError):
            found[:] = json.loads((folder / "answers").read_text())
        return len(found) == count

    wait_until(written, 60.0, lambda: f"no session: {process.poll()}")
    return found


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


class TestLocal:
    def test_nobody_else_reaches_it_and_nothing_is_left(self, folder: Path) -> None:
        marked = Marked(HOME=str(folder), RAY_ADDRESS="203.0.113.1:6379", RAY_AUTH_TOKEN="foreign")
        process = python(marked, _LOCAL, str(folder / "answers"))
        assert process.stdin is not None
        tokens = set()
        for number in (1, 2):
            answer = answers(folder, process, number)[-1]
            assert answer["modes"] == ["0o700", "0o600"]
            assert answer["cpus"] >= 2
            addresses = listening_addresses(set(marked.processes()))
            assert addresses
            assert addresses <= LOOPBACK
            assert os.getpgid(answer["pid"]) != os.getpgid(process.pid)
            assert os.getsid(answer["pid"]) != os.getsid(process.pid)
            tokens.add(answer["token"])
            if number == 2:
                (folder / "token").write_text("9" * 40)
                stranger = {"SUPERNAUT_RAY_ADDRESS": answer["address"], "RAY_AUTH_MODE": "token"}
                assert attempt(**stranger, RAY_AUTH_TOKEN_PATH=str(folder / "token"))[:2] == ("ClusterRefused", 5)
            process.stdin.write("\n")
            process.stdin.flush()
            wait_until(lambda a=answer: not Path(a["folder"]).exists(), 30.0, lambda: "the folder is left")
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")
        marked.check_none_left(1.0)
        assert len(tokens) == 2
        assert not (folder / ".ray").exists()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
    def test_nothing_is_left_when_the_process_is_killed(self, folder: Path, number: int) -> None:
        marked = Marked()
        process = python(marked, _LOCAL, str(folder / "answers"))
        (answer,) = answers(folder, process, 1)
        assert len(marked.processes()) >= 3
        process.send_signal(number)
        process.communicate()
        marked.check_none_left()
        assert not Path(answer["folder"]).exists()

    def test_a_ray_that_does_not_start_says_why(self, folder: Path) -> None:
        marked = Marked(RAY_raylet_start_wait_time_s="1", TMPDIR=str(folder))
        program = (
            "from runner.parallel.session import RaySettings, ray_session\n"
            "from runner.parallel.errors import ClusterFailed\n"
            "try:\n"
            "    with ray_session(RaySettings(workers=1, object_store_bytes=1)): pass\n"
            "except ClusterFailed as error: print(error)\n"
        )
        out, err = python(marked, program).communicate(timeout=60)
        assert out.startswith("Ray ended while it was starting; is there free memory"), err
        assert "object_store_memory" in out or "object store" in out.lower()
        marked.check_none_left()
        assert list(folder.iterdir()) == []


def test_the_next_one_removes_what_a_killed_guardian_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    for name in ("abandoned", "before-its-lock", "in-use", "young"):
        (folder / f"supernaut-ray-{name}" / "ray").mkdir(parents=True)
        if name != "before-its-lock":
            (folder / f"supernaut-ray-{name}" / "lock").touch()
        age = time.time() - (10 if name == "young" else 3600)
        os.utime(folder / f"supernaut-ray-{name}", (age, age))
    (folder / "foreign").mkdir()
    with (folder / "supernaut-ray-in-use" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with ray_session(RaySettings(workers=1)):
            left = {path.name for path in folder.iterdir()}
    assert {"supernaut-ray-in-use", "supernaut-ray-young", "foreign"} < left
    assert len(left) == 4
    assert {path.name for path in folder.iterdir()} == {"supernaut-ray-in-use", "supernaut-ray-young", "foreign"}


class TestClusters:
    """Each for real: what is at the address, and what is said about it."""

    def test_with_its_token_it_can_be_used(self, other: Cluster) -> None:
        assert attempt(**other.variables) == ("connected", 0, "")

    def test_by_its_loopback_address_too(self, other: Cluster) -> None:
        port = other.address.rpartition(":")[2]
        assert attempt(**other.variables | {"SUPERNAUT_RAY_ADDRESS": f"127.0.0.1:{port}"})[0] == "connected"

    def test_without_authentication_it_is_not_used(self, other: Cluster) -> None:
        name, code, message = attempt(**other.variables | {"RAY_AUTH_MODE": "disabled"})
        assert (name, code) == ("ClusterRefused", 5)
        assert "Set RAY_AUTH_MODE=token here and on the cluster" in message

    @pytest.mark.parametrize("token", ["wrong", "absent"])
    def test_without_its_token_it_refuses(self, other: Cluster, folder: Path, token: str) -> None:
        if token == "wrong":
            (folder / "token").write_text("6" * 40)
        variables = other.variables | {"RAY_AUTH_TOKEN_PATH": str(folder / "token"), "HOME": str(folder)}
        name, code, message = attempt(**variables)
        assert (name, code) == ("ClusterRefused", 5)
        assert other.address in message
        assert "RAY_AUTH_TOKEN_PATH" in message

    def test_another_version_is_refused(self, folder: Path) -> None:
        """A cluster tells its versions in its own record; there a test can write others."""
        program = (
            "import json, sys\n"
            "from runner.parallel.session import RaySettings, ray_session\n"
            "from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put\n"
            "with ray_session(RaySettings.from_environment(1)):\n"
            "    told = json.loads(_internal_kv_get(b'CLUSTER_METADATA', namespace=b'cluster'))\n"
            "    told['ray_version'] = '2.1.0'\n"
            "    _internal_kv_put(b'CLUSTER_METADATA', json.dumps(told).encode(), namespace=b'cluster')\n"
        )
        with cluster(folder) as old:
            marked = Marked(**old.variables)
            _, err = python(marked, program).communicate(timeout=60)
            assert err == ""
            name, code, message = attempt(**old.variables)
        assert (name, code) == ("ClusterVersion", 5)
        assert "Ray: 2.1.0" in message
        assert "install the same Ray and Python" in message

    def test_nothing_listens_there(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            name, code, message = attempt(SUPERNAUT_RAY_ADDRESS=address, RAY_AUTH_MODE="token")
        assert (name, code) == ("ClusterUnreachable", 5)
        assert f"no Ray cluster answers at {address}" in message
        assert "Connection refused" in message

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", None])
    def test_something_else_listens_there(self, answer: bytes | None) -> None:
        """It accepts and is silent, answers in another protocol, or hangs up."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            kept = []

            def serve() -> None:
                with contextlib.suppress(OSError):
                    connection, _ = server.accept()
                    kept.append(connection)
                    if answer is None:
                        connection.close()
                    else:
                        connection.sendall(answer)

            threading.Thread(target=serve, daemon=True).start()
            address = f"127.0.0.1:{server.getsockname()[1]}"
            name, code, message = attempt(SUPERNAUT_RAY_ADDRESS=address, RAY_AUTH_MODE="token")
            for connection in kept:
                connection.close()
        assert (name, code) == ("ClusterUnreachable", 5)
        assert address in message

    @pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", "head:ray", ":6379", "head:70000"])
    def test_what_is_no_address(self, address: str) -> None:
        name, code, message = attempt(SUPERNAUT_RAY_ADDRESS=address, RAY_AUTH_MODE="token")
        assert (name, code) == ("ClusterUnreachable", 5)
        assert f"{address!r} is no address" in message

    def test_a_host_that_does_not_exist(self) -> None:
        name, code, message = attempt(SUPERNAUT_RAY_ADDRESS="no-such-host.invalid:6379", RAY_AUTH_MODE="token")
        assert (name, code) == ("ClusterUnreachable", 5)
        assert "no-such-host.invalid:6379" in message


def test_the_watchdog_ends_a_process_that_is_held() -> None:
    program = (
        "import time\n"
        "from runner.parallel.watchdog import Watchdog\n"
        "called_off = Watchdog(lambda: False, 'not this one', 3, 0.5)\n"
        "called_off.call_off()\n"
        "patient = Watchdog(lambda: True, 'nor this one', 4, 0.5)\n"
        "Watchdog(lambda: False, 'Ray is gone', 5, 0.5)\n"
        "time.sleep(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=25)
    assert (done.returncode, done.stderr) == (5, "Ray is gone\n")


def test_processes_of_ray_do_not_know_what_opens_the_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SUPERNAUT_DATABASE_URL", "postgresql://supernaut:secret@host/record")
    monkeypatch.setenv("SUPERNAUT_TOKEN", "sn_0_secret")
    monkeypatch.setenv("KEPT", "kept")
    known = _environment(tmp_path / "token")
    assert known["KEPT"] == "kept"
    assert not [name for name, value in known.items() if "secret" in value]
