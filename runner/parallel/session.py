"""Owns this process's connection to a Ray: one of our own on this machine, or a cluster that exists.

A process has one connection at a time. `ray_session` makes it, whoever asks meanwhile shares it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.parallel.errors import ClusterFailed, ClusterRefused, ClusterUnreachable, ClusterVersion, InvalidResources
from runner.parallel.local_cluster import LocalCluster, start_local_cluster, token_environment

ADDRESS_VARIABLE = "SUPERNAUT_RAY_ADDRESS"
_ANSWER_SECONDS = 3.0
# Any gRPC server answers this with settings of its own: the preface of HTTP/2 and an empty SETTINGS frame.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS_FRAME = 4
_QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "(?s).*",  # what Ray would print about workers; failures tell it in full
    "RAY_gcs_server_port_wait_time_s": "1",  # one try at connecting: that someone answers was seen before
}


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

    def open(self) -> None:
        """Start a local Ray, or look for the cluster; connect."""
        with contextlib.ExitStack() as undo:
            undo.enter_context(_environment(_QUIET))
            if self.settings.address is None:
                self._cluster = start_local_cluster(
                    max(self.settings.workers, os.cpu_count() or 1), self.settings.object_store_bytes
                )
                undo.callback(self._cluster.stop)
                undo.enter_context(_environment(token_environment(self._cluster.token_file)))
                _connect(self._cluster.address)
            else:
                _check_address(self.settings.address)
                _connect(self.settings.address)
            undo.callback(_disconnect)
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Disconnect, and end what was started."""
        self._undo.close()
        self._cluster = None

    def alive(self) -> bool:
        """Whether a Ray of our own still runs; of others only their answers tell."""
        return self._cluster is None or self._cluster.alive()

    def restart(self) -> None:
        """Connect anew, to a new Ray where it is our own. Everything kept in the old one is gone."""
        self.close()
        self.open()


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
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray puts one of its own there


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
