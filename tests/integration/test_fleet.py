"""Two servers and three workers on one PostgreSQL, all of which are killed at random while studies run."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.client import Client
from runner.errors import ServerUnreachable
from runner.store import open_repository
from tests.postgres import running_cluster
from tests.runner.parallel.processes import Marked
from tests.runner.workers.tables import check_finished, is_held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres import Cluster

ROOT = Path(__file__).parents[2]
STUDIES, SERVERS, WORKERS = 20, 2, 3
CHAOS_S, PATIENCE_S = 25.0, 240.0
SPEC = {
    "task": {"name": "digits"},
    "space": {"name": "vision_transformer", "choices": {"depth": [1, 2]}},
    "objectives": {"error": {}},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc, which this system lacks"),
]


class Fleet:
    """Processes that are started again when they end, until the block is left."""

    def __init__(self, commands: list[list[str]], environment: dict[str, str], log: Path) -> None:
        self._commands, self._environment, self._log = commands, environment, log.open("ab")
        self.processes = [self._start(index) for index in range(len(commands))]

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._commands[index],
            cwd=ROOT,
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def kill(self, index: int) -> None:
        self.processes[index].send_signal(signal.SIGKILL)
        self.processes[index].wait()
        self.processes[index] = self._start(index)

    def close(self, how: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(how)
        for process in self.processes:
            process.wait(60)
        self._log.close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


def answers(client: Client) -> bool:
    try:
        client.studies()
    except ServerUnreachable:
        return False
    return True


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.25)


def test_every_study_finishes_once_whatever_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    url = cluster.make()
    marked = Marked()
    environment = {**os.environ, **marked.environment, "SUPERNAUT_DATABASE_URL": url, "OMP_NUM_THREADS": "1"}
    ports = [free_port() for _ in range(SERVERS)]
    homes = [tmp_path / f"server-{index}" for index in range(SERVERS)]
    servers = Fleet(
        [
            [sys.executable, "-m", "runner.cli.main", "--home", str(home), "serve", "--no-worker", "--port", str(port)]
            for home, port in zip(homes, ports, strict=True)
        ],
        environment,
        tmp_path / "servers.log",
    )
    workers = Fleet(
        [[sys.executable, "-m", "tests.runner.workers.fleet_worker", str(tmp_path / "workers")]] * WORKERS,
        environment,
        tmp_path / "workers.log",
    )
    rng = random.Random(0)
    calm = threading.Event()
    killed = {"server": 0, "worker": 0, "sessions": 0}

    def rage() -> None:
        until = time.monotonic() + CHAOS_S
        while time.monotonic() < until and not calm.wait(rng.uniform(0.5, 2.0)):
            victim = rng.choice(("server", "worker", "worker", "sessions"))
            if victim == "server":
                servers.kill(rng.randrange(SERVERS))
            elif victim == "worker":
                workers.kill(rng.randrange(WORKERS))
            else:
                cluster.kill_sessions(url)
            killed[victim] += 1

    try:
        wait_until("both servers are there", lambda: all((home / "token").exists() for home in homes))
        clients = [
            Client(f"http://127.0.0.1:{port}", (home / "token").read_text().strip())
            for home, port in zip(homes, ports, strict=True)
        ]
        assert all(map(answers, clients))  # a client waits for a server that it has met
        raging = threading.Thread(target=rage)
        raging.start()
        names = [f"study-{index}" for index in range(STUDIES)]
        for index, name in enumerate(names):
            clients[index % SERVERS].submit({"name": name, **SPEC})
        raging.join()
        with open_repository(url) as repository:
            wait_until(
                "all studies are over",
                lambda: all(repository.study(name).state in ("complete", "failed") for name in names),
            )
            wait_until("nobody holds one", lambda: not any(is_held(repository, name) for name in names))
            assert len(repository.studies()) == STUDIES
            for name in names:
                check_finished(repository, name)
            attempts = [repository.study(name).lease_attempt for name in names]
        wait_until("the servers are there again", lambda: all(map(answers, clients)))
        assert {study.state for study in clients[0].studies()} == {"complete"}
        assert min(killed.values()) > 0, killed
        assert max(attempts) > 1, "nothing that was killed was at work"
    finally:
        calm.set()
        workers.close(signal.SIGTERM)
        servers.close(signal.SIGTERM)
    marked.check_none_left(60)
