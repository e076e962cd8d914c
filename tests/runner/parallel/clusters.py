"""Real Ray clusters on this machine that are not ours: a head and nodes, with a token, in a folder of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.runner.parallel.processes import Marked, wait_until

_START = [
    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
    *("--object-store-memory=100000000", "--include-log-monitor=false", "--num-cpus=1"),
]


class Cluster:
    """One CPU a node, the head included."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token_file = folder / "token"
        self.token_file.touch(mode=0o600)
        self.token_file.write_text("5" * 40, encoding="ascii")
        self.marked = Marked(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(self.token_file))
        self._started: list[subprocess.Popen[bytes]] = []
        self.head = self._start("head", "--head", "--port=0", "--include-dashboard=false", "--no-monitor")
        written = folder / "head" / "ray_current_cluster"
        wait_until(lambda: written.exists() and written.read_text(), 60.0, lambda: self._said("head"))
        self.address = written.read_text(encoding="utf-8")
        self.marked.processes()

    @property
    def variables(self) -> dict[str, str]:
        """By which a process uses this cluster."""
        return {
            "SUPERNAUT_RAY_ADDRESS": self.address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
        }

    def add_node(self) -> subprocess.Popen[bytes]:
        node = self._start("node", f"--address={self.address}")
        wait_until(lambda: "Ray runtime started" in self._said("node"), 60.0, lambda: self._said("node"))
        self.marked.processes()
        return node

    def stop(self) -> None:
        self.marked.kill_all()
        for process in self._started:
            process.wait()

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*_START, *options, f"--temp-dir={self.folder / name}"],
                env=self.marked.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def _said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A head. The folder's path must be short: Ray's sockets lie deep in it."""
    started = Cluster(folder)
    try:
        yield started
    finally:
        started.stop()
