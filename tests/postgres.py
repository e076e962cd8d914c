"""A PostgreSQL server of the tests' own: in a temporary folder, on a port of this machine alone, gone with the tests.

PostgreSQL does not run as root, so where the tests do, it runs as `postgres` (or `nobody`).  `SUPERNAUT_POSTGRES_BIN`
names the folder of its programs where they stand in none of the usual places; `.ci/postgres` looks there too.
"""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

from runner.store import open_repository

VARIABLE = "SUPERNAUT_POSTGRES_BIN"
_NEEDED = ("initdb", "postgres")
_STARTS_WITHIN_S = 120.0
# What is lost when the machine fails is of no value here, and to wait for its disk takes longer than the tests.
_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "shared_buffers=32MB",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
    "logging_collector=off",
)


def find_programs() -> Path | None:
    """The folder with the newest PostgreSQL's programs."""
    folders = [os.environ.get(VARIABLE, "")]
    if on_path := shutil.which("postgres"):
        folders.append(str(Path(on_path).resolve().parent))
    if asks := shutil.which("pg_config"):
        folders.append(subprocess.run([asks, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
    for pattern in ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin"):
        folders += sorted(glob.glob(pattern), reverse=True)  # noqa: PTH207  (the pattern is absolute)
    for folder in folders:
        if folder and all(os.access(Path(folder) / name, os.X_OK) for name in _NEEDED):
            return Path(folder)
    return None


class Cluster:
    """The server, and the databases that tests make in it."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="supernaut-postgres-"))
        self.password = secrets.token_hex(8)
        self.port = _free_port()
        self._count = 0
        self._as: list[str] = []
        if os.geteuid() == 0:
            user = _other_user()
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            # It ends with this process, whatever ends that.
            self._as = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            self._as += ["--pdeathsig", "QUIT"]
        self._initialise()
        self.process = self.start()
        self._admin = create_engine(
            f"postgresql+psycopg://supernaut:{self.password}@127.0.0.1:{self.port}/postgres",
            isolation_level="AUTOCOMMIT",
            pool_pre_ping=True,
        )
        open_repository(self.make("template_record", "template0")).close()

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password, encoding="utf-8")
        password.chmod(0o644)
        subprocess.run(
            [
                *self._as,
                str(self.programs / "initdb"),
                "--auth=password",
                "--username=supernaut",
                f"--pwfile={password}",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                str(self.folder / "data"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server and wait until it answers."""
        settings = [word for each in (*_SETTINGS, f"unix_socket_directories={self.folder}") for word in ("-c", each)]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *settings]
        before = self._readiness()
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen([*self._as, *command], stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + _STARTS_WITHIN_S
        while self._readiness() == before:
            if process.poll() is not None or time.monotonic() > until:
                words = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{words}")
            time.sleep(0.02)
        self.process = process
        return process

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server at once; with SIGINT it ends its sessions in good order."""
        self.process.send_signal(how)
        self.process.wait(timeout=_STARTS_WITHIN_S)

    def make(self, name: str | None = None, template: str = "template_record") -> str:
        """Make a database, by default a copy of an empty record; return its URL."""
        self._count += 1
        name = name or f"record_{self._count}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever still uses it."""
        self.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://supernaut:{self.password}@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement of the administrator's."""
        with self._admin.connect() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def kill_sessions(self, url: str) -> int:
        """End all sessions of a database, as an administrator or a failing server does; return how many."""
        name = url.rpartition("/")[2]
        return len(self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))

    def close(self) -> None:
        """End it and remove its folder."""
        self._admin.dispose()
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)

    def _readiness(self) -> int:
        """How often it has said that it lets people in; the socket is there before that."""
        log = self.folder / "log"
        words = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return words.count("ready to accept connections")


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A server until the end of the block.  Raises where there are no programs: `make test` sees to that."""
    programs = find_programs()
    if programs is None:
        raise RuntimeError(f"PostgreSQL's programs are not found; run `bash .ci/postgres`, or set {VARIABLE}")
    cluster = Cluster(programs)
    try:
        yield cluster
    finally:
        cluster.close()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
