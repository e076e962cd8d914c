"""Owns this process's connection to a Ray: one of our own on this machine, or a cluster that exists.

A process has one connection at a time. `ray_session` makes it, whoever asks meanwhile shares it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.errors import FAILED, UNREACHABLE_SERVER
from runner.parallel.errors import ClusterFailed, ClusterRefused, ClusterUnreachable, ClusterVersion, InvalidResources
from runner.parallel.local_cluster import LocalCluster, token_environment
from runner.parallel.watchdog import PATIENCE_SECONDS, Watchdog

ADDRESS_VARIABLE = "SUPERNAUT_RAY_ADDRESS"
_ANSWER_SECONDS = 3.0
_LOOK_SECONDS, _MISSES = 2.0, 3  # how often the head of a cluster is looked for, and when it is taken for lost
# Any gRPC server answers this with settings of its own: the preface of HTTP/2 and an empty SETTINGS frame.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS_FRAME = 4
_ONE_TRY = {"RAY_gcs_server_port_wait_time_s": "1"}  # at connecting: that someone answers was seen before
_EVERYTHING = re.compile("")


@dataclass(frozen=True)
class RaySettings:
    """Which Ray to use. Without an address it is one of our own, on this machine."""

    workers: int
    object_store_bytes: int | None = None  # of a local Ray; None for a default that suits small supernets
    address: str | None = None  # host:port of a cluster's head

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InvalidResources(f"workers must be at least 1, got {self.workers}")

    @classmethod
    def from_environment(cls, workers: int, object_store_bytes: int | None = None) -> RaySettings:
        """Settings with the address that $SUPERNAUT_RAY_ADDRESS names, if it does."""
        return cls(workers, object_store_bytes, os.environ.get(ADDRESS_VARIABLE, "").strip() or None)


class RaySession:
    """One connection, which can be made anew where the Ray is our own."""

    def __init__(self, settings: RaySettings) -> None:
        self.settings = settings
        self._cluster: LocalCluster | None = None
        self._undo = contextlib.ExitStack()
        self._looking = threading.Lock()
        self._looked_at = time.monotonic()
        self._misses = 0  # in a row, of the head of a cluster

    def open(self) -> None:
        """Start a local Ray, or look for the cluster; connect."""
        self._open(self._launched())

    def close(self) -> None:
        """Disconnect, and end what was started."""
        self._undo.close()
        self._cluster, self._misses = None, 0

    def restart(self) -> None:
        """Connect anew, to a new Ray where it is our own. Everything kept in the old one is gone."""
        launched = self._launched()  # it starts while Ray takes its time to disconnect from what is dead
        try:
            self.close()
        except BaseException:
            if launched is not None:
                launched.stop()
            raise
        self._open(launched)

    def _launched(self) -> LocalCluster | None:
        if self.settings.address is not None:
            return None
        return LocalCluster(max(self.settings.workers, os.cpu_count() or 1), self.settings.object_store_bytes)

    def _open(self, cluster: LocalCluster | None) -> None:
        with contextlib.ExitStack() as undo:
            undo.enter_context(_environment(_ONE_TRY))
            undo.enter_context(_quiet())
            if cluster is not None:
                undo.callback(cluster.stop)
                undo.enter_context(_environment(token_environment(cluster.token_file)))
                address, name, exit_code = cluster.address(), "Ray of this process", FAILED
            else:
                assert self.settings.address is not None
                address, name, exit_code = self.settings.address, f"Ray at {self.settings.address}", UNREACHABLE_SERVER
                _check_address(address)
            _connect(address)
            self._cluster = cluster
            watchdog = Watchdog(
                self.alive,
                f"The {name} is gone and holds this process, which therefore ends. What was recorded is kept; the "
                "same command goes on from there.",
                exit_code,
                PATIENCE_SECONDS,
            )
            undo.callback(watchdog.call_off)
            undo.callback(_disconnect)
            self._undo = undo.pop_all()

    def alive(self) -> bool:
        """Whether the Ray still runs, as of some seconds ago.

        Has to be asked often: Ray ends this very process when the head was gone for a minute.
        """
        if self._cluster is not None:
            return self._cluster.alive()
        with self._looking:  # the watchdog asks from a thread of its own
            now = time.monotonic()
            if self.settings.address is not None and now - self._looked_at >= _LOOK_SECONDS:
                self._looked_at = now
                self._misses = 0 if _listens(self.settings.address) else self._misses + 1
            return self._misses < _MISSES


_session: RaySession | None = None  # Ray itself allows a process one connection


@contextlib.contextmanager
def ray_session(settings: RaySettings) -> Iterator[RaySession]:
    """A connection to Ray for as long as the block lasts.

    Inside another session of this process that one is shared, whatever the settings. A connection that someone
    else made with `ray.init` is used as it is and left open.

    Raises ClusterUnreachable, ClusterRefused, ClusterVersion for a cluster; ClusterFailed for a local Ray.
    """
    global _session
    import ray

    if _session is not None:
        yield _session
        return
    session = RaySession(settings)
    if not ray.is_initialized():
        session.open()
    _session = session
    try:
        yield session
    finally:
        _session = None
        session.close()


def _connect(address: str) -> None:
    """`ray.init`, with errors of our own and without its side effects."""
    import ray
    from ray._private import ray_constants
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    # Ray reads the mode when it is imported and the token when it first needs one.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    handler = signal.getsignal(signal.SIGTERM)
    debugger = {"PYTHONBREAKPOINT": os.environ.get("PYTHONBREAKPOINT")}
    outer_address = ray_constants.ENABLE_RAY_CLUSTER
    try:
        # Else Ray replaces a loopback address by an outer one, where a Ray of our own does not listen.
        ray_constants.ENABLE_RAY_CLUSTER = outer_address and not _is_loopback(address)
        with _standard_error_muted():
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as error:
        ray.shutdown()
        raise _explained(address, error) from error
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = outer_address
        # Ray puts its own debugger and its own handler in place of whatever there was.
        _assign(debugger)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that Ray has to say about workers is printed; failures say it where it belongs.

    RAY_DEDUP_LOGS_SKIP_REGEX would do the same, were it not read when Ray is imported.
    """
    from ray._private import ray_logging

    printers = (ray_logging.stdout_deduplicator, ray_logging.stderr_deduplicator)
    before = [printer.skip_re for printer in printers]
    for printer in printers:
        printer.skip_re = _EVERYTHING
    try:
        yield
    finally:
        for printer, pattern in zip(printers, before, strict=True):
            printer.skip_re = pattern


@contextlib.contextmanager
def _standard_error_muted() -> Iterator[None]:
    """Ray's C++ writes there until it has a log file; what matters of it also comes as an exception."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _explained(address: str, error: BaseException) -> Exception:
    """The error of ours that an error of Ray's amounts to; Ray tells causes apart by their words only."""
    import ray

    said = _chain(error)
    if "Unauthenticated" in said or "AuthenticationError" in said or "auth token" in said.lower():
        return ClusterRefused(
            f"no token was found for the Ray cluster at {address}, or it refused the one found. Set "
            "RAY_AUTH_TOKEN_PATH to a copy of its token file (mode 0600); `ray get-auth-token` on the head prints it."
        )
    if "Version mismatch" in said:
        mine = f"Ray {ray.__version__}"
        return ClusterVersion(
            f"the Ray cluster at {address} runs other versions than this process ({mine}); install the same Ray and "
            f"Python here and there. {said[said.index('Version mismatch') :].strip()}"
        )
    if isinstance(error, (ConnectionError, RuntimeError, ValueError, OSError)):
        return ClusterUnreachable(
            f"cannot connect to the Ray cluster at {address}: {error}. Check that `ray status --address {address}` "
            f"works from here, or unset {ADDRESS_VARIABLE} to use this machine."
        )
    return ClusterFailed(f"Ray at {address} failed while connecting: {type(error).__name__}: {error}")


def _chain(error: BaseException | None) -> str:
    said = []
    while error is not None:
        said.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def _check_address(address: str) -> None:
    """Refuse an address at which no Ray answers; `ray.init` would wait for it without a word."""
    host, port = _parsed(address)
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        raise ClusterRefused(
            f"the cluster at {address} would be used without authentication: whoever reaches such a cluster runs "
            "code on it. Set RAY_AUTH_MODE=token here and on the cluster, and RAY_AUTH_TOKEN_PATH to the file with "
            "its token."
        )
    hint = f"start a head there with `ray start --head`, correct the address, or unset {ADDRESS_VARIABLE}"
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") in ("0", ""):
                connection.sendall(_HTTP2_PREFACE)
                if not _is_settings(connection):
                    raise ClusterUnreachable(
                        f"something listens at {address}, but it is no Ray head (port of its GCS, 6379 by default); "
                        f"{hint}."
                    )
    except OSError as error:
        raise ClusterUnreachable(f"no Ray cluster answers at {address} ({error}); {hint}.") from error


def _listens(address: str) -> bool:
    try:
        with socket.create_connection(_parsed(address), timeout=1.0):
            return True
    except OSError:
        return False


def _is_settings(connection: socket.socket) -> bool:
    """Whether the first frame of the answer is SETTINGS, as HTTP/2 demands."""
    answer = b""
    while len(answer) < 9:
        try:
            more = connection.recv(9 - len(answer))
        except TimeoutError:
            return False
        if not more:
            return False
        answer += more
    return answer[3] == _SETTINGS_FRAME and answer[5:9] == bytes(4)


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or "://" in address or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ClusterUnreachable(
            f"{address!r} is no address of a Ray cluster; give host:port of its head, for example 10.0.0.5:6379 "
            "(not ray://..., whose client is not supported)."
        )
    return host.strip("[]"), int(port)


def _is_loopback(address: str) -> bool:
    return _parsed(address)[0] in ("127.0.0.1", "localhost", "::1")


@contextlib.contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Variables of this process, as they were before when the block ends. Ray takes its settings from there."""
    before = {name: os.environ.get(name) for name in changes}
    _assign(changes)
    try:
        yield
    finally:
        _assign(before)


def _assign(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
