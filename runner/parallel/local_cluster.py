"""Owns a Ray of our own on this machine: how it is started, whether it still runs, how it ends.

Ray's command starts it, in a session of its own and under a `guardian`; this process then connects as to any
other cluster. `ray.init()` would make Ray's processes members of our process group, which Ctrl-C interrupts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runner.parallel.errors import ClusterFailed

SECRETS = ("SUPERNAUT_DATABASE_URL", "SUPERNAUT_TOKEN")
_PREFIX = "supernaut-ray-"
_LONGEST_ROOT = 32  # bytes; the sockets of Ray lie deep, and a socket's path holds at most 107
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_ABANDONED_SECONDS = 600.0
OBJECT_STORE_BYTES = 512 * 2**20  # enough for results and the weights of a small supernet; Ray takes pages as used


def store_bytes_for(shared_bytes: int) -> int:
    """The size of the object store for so many bytes of shared arrays: they and a copy while they are put there."""
    return max(OBJECT_STORE_BYTES, 2 * shared_bytes + 128 * 2**20)


class LocalCluster:
    """A local Ray that this process starts: it listens on loopback only and asks for a fresh token."""

    def __init__(self, cpus: int, object_store_bytes: int | None) -> None:
        root = _root()
        _remove_abandoned(root)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))  # 0700: token, sockets and logs
        self.token_file = self.folder / "token"
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(secrets.token_hex(32), encoding="ascii")
        script = Path(__file__).with_name("guardian.py")
        store_bytes = OBJECT_STORE_BYTES if object_store_bytes is None else object_store_bytes
        with (self.folder / "log").open("wb") as log:
            self._guardian = subprocess.Popen(
                # -P: the folder of the script must not shadow the standard library.
                [sys.executable, "-P", str(script), str(self.folder), *_command(self.folder, cpus, store_bytes)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(self.token_file),
                start_new_session=True,
            )

    def address(self) -> str:
        """Where it listens, once it does; it writes that last. Raises ClusterFailed."""
        written = self.folder / "ray" / "ray_current_cluster"
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.alive():
            if written.exists() and (address := written.read_text(encoding="utf-8").strip()):
                return address
            time.sleep(0.05)
        said = (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        problem = f"did not start within {_START_SECONDS:.0f} s" if self.alive() else "ended while it was starting"
        raise ClusterFailed(
            f"Ray {problem}; is there free memory, and free space in {self.folder.parent} and /dev/shm? "
            'Search with workers="serial" to go on without Ray. It said last:\n' + "\n".join(said)
        )

    def alive(self) -> bool:
        """Whether all of Ray's own processes still run, as of a second ago."""
        if not hasattr(os, "waitid"):
            return self._guardian.poll() is None
        # Not collected before `stop`: until then no other process or session can have its number.
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._guardian.returncode is None and os.waitid(os.P_PID, self._guardian.pid, ended) is None

    def stop(self) -> None:
        """End every process of it and remove its files; stopping again changes nothing."""
        if self._guardian.returncode is None:
            assert self._guardian.stdin is not None
            self._guardian.stdin.close()
            deadline = time.monotonic() + _STOP_SECONDS
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.01)
            self._kill_rest()
            self._guardian.kill()
            self._guardian.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _kill_rest(self) -> None:
        """Kill what the guardian did not, if it was killed itself. Without /proc that ends a minute later."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pid = int(process.name)
                if os.getsid(pid) == self._guardian.pid:
                    os.kill(pid, signal.SIGKILL)


def token_environment(token_file: Path) -> dict[str, str | None]:
    """The variables by which a process of Ray knows its token; None for one that must not be set."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file), "RAY_AUTH_TOKEN": None}


def _command(folder: Path, cpus: int, object_store_bytes: int) -> list[str]:
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--port=0", "--node-ip-address=127.0.0.1", "--include-dashboard=false", "--disable-usage-stats"),
        *("--no-monitor", "--include-log-monitor=false"),  # no autoscaling, no logs on the terminal
        *(f"--num-cpus={cpus}", f"--object-store-memory={object_store_bytes}", f"--temp-dir={folder / 'ray'}"),
    ]


def _environment(token_file: Path) -> dict[str, str]:
    """Ours, less what would lead Ray elsewhere.

    Ray's variables in capitals name addresses, ports, hooks and tokens; those in small letters tune it.  And less what
    its processes, which run users' code, need not know.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("RAY_") and name[4:5].isupper()) and name not in SECRETS
    }
    # Ray replaces a loopback address by an outer one, and listens everywhere, unless clusters are switched off.
    ours = {**token_environment(token_file), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    return kept | {name: value for name, value in ours.items() if value is not None}


def _root() -> Path:
    chosen = Path(tempfile.gettempdir())
    return chosen if len(os.fsencode(chosen)) <= _LONGEST_ROOT else Path("/tmp")


def _remove_abandoned(root: Path) -> None:
    """Remove the folders of clusters whose guardian was killed, which then could not do it."""
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < _ABANDONED_SECONDS:
                continue
            with (folder / "lock").open("a") as lock:  # there is none where the guardian never came so far
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
