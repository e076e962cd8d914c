"""`supernaut serve`: the API and the pages, and a worker beside them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.common import fail, home_of, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.service.hosts import Hosts
    from runner.settings import Home
    from runner.store import Repository

_GRACE_S = 3  # for answers that are under way when someone stops the server
_WORKER_GRACE_S = 60  # for a worker to bring its study to a safe point
_PAUSE_S = 2.0  # before a worker that was killed is followed by another one
_SHORT_LIFE_S = 60.0
_MOST_SHORT = 3  # short lives in a row after which something else is wrong
_BACKLOG = 128


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(serve)


def serve(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Option(help="The address to listen on; beyond this machine only with --public-host and a token."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes any free one.")] = 8000,
    public_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name under which browsers reach the server through something that speaks TLS; may be repeated.",
            show_default=False,
        ),
    ] = None,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Whether to start a worker, which runs submitted studies.")
    ] = True,
) -> None:
    """Serve the API and the pages until Ctrl-C."""
    from runner.service.hosts import public_host as checked
    from runner.store import open_repository

    home = home_of(context)
    os.umask(0o077)  # what this process makes is for its user alone
    public = tuple(dict.fromkeys(checked(name) for name in public_host or ()))
    home.make()
    with open_repository(home.database_url) as repository:
        _check_reach(host, public, repository)
        with _listen(host, port) as listening:
            _serve(listening, home, public, repository, worker)
    say("stopped")


def _serve(listening: socket.socket, home: Home, public: Sequence[str], repository: Repository, worker: bool) -> None:
    from runner.service.hosts import Hosts
    from runner.service.local import announced, ensure_token, first_link
    from runner.store.transactions import utc_now

    address, bound = listening.getsockname()[:2]
    hosts = Hosts(bound, tuple(public), address)
    here = hosts.here
    ensure_token(home, repository, utc_now())
    origin = f"https://{public[0]}" if public else here
    link = first_link(repository, origin, utc_now())
    say(f"Supernaut at {here}  (Ctrl-C ends it)")
    for name in public:
        say(f"and at https://{name}, if something that speaks TLS passes its requests on to here")
    say(f"open this in a browser, it works once: {link}")
    say(f"the record is {repository.place}")
    sys.stdout.flush()
    with announced(home, here), _worker(home, wanted=worker):
        _answer(listening, home, hosts)


def _check_reach(host: str, public: Sequence[str], repository: Repository) -> None:
    """Raise `SpecError` where strangers could come and nobody has prepared for them."""
    from runner.errors import SpecError
    from runner.service.auth import is_alive
    from runner.service.hosts import is_loopback
    from runner.store.transactions import utc_now

    if is_loopback(host):
        return
    if not public:
        raise SpecError(
            f"--host {host}: this is beyond this machine. Say under which name browsers will reach the server, with "
            "--public-host NAME, and put something that speaks TLS before it, which passes the requests on; tokens "
            "would otherwise cross the network for anyone to read. For yourself alone an SSH tunnel is enough: "
            "ssh -L 8000:127.0.0.1:8000 THIS-MACHINE, then open http://127.0.0.1:8000 there."
        )
    if not any(token.kind == "token" and is_alive(token, utc_now()) for token in repository.tokens(None)):
        raise SpecError(
            f"--host {host}: nobody has a token yet, so nobody could be let in. Make one first: supernaut token create "
            "NAME"
        )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket.  Raises `SpecError` for an address that is not ours, `Conflict` where the port is taken."""
    from runner.errors import Conflict, SpecError

    name = "127.0.0.1" if host == "localhost" else host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets that name their protocol; else a small answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((name, port))
        listening.listen(_BACKLOG)
    except PermissionError as error:
        listening.close()
        raise SpecError(f"--port {port}: only the system's administrator may use it; choose 1024 or above.") from error
    except socket.gaierror as error:
        listening.close()
        raise SpecError(f"--host {host}: give an address of this machine, such as 127.0.0.1 or 0.0.0.0.") from error
    except OSError as error:
        listening.close()
        raise Conflict(
            f"cannot listen on {name} port {port}: {error.strerror or error}. Another server may be running there; "
            f"stop it or choose another port: supernaut serve --port {port + 1 if port < 65535 else 8000}"
        ) from error
    return listening


@contextmanager
def _worker(home: Home, *, wanted: bool) -> Iterator[None]:
    """Within, a worker runs; it ends with this process, which says so where it ends before."""
    if not wanted:
        say("no worker was started, so studies wait; start one: supernaut worker")
        yield
        return
    worker = OwnWorker([sys.executable, "-m", "runner.workers", "--home", str(home.path)])
    try:
        yield
    finally:
        worker.end()


class OwnWorker:
    """A worker process that ends with this one, and that is started again where it is killed or breaks."""

    def __init__(self, command: Sequence[str], *, pause_s: float = _PAUSE_S) -> None:
        self._command = command
        self._pause_s = pause_s
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._process = self._start()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def end(self) -> None:
        """Ask it to end at a safe point, and wait for that, but not for ever."""
        with self._lock:
            self._ending.set()
        self._process.terminate()
        try:
            self._process.wait(_WORKER_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watching.join()
        _close_pipe(self._process)

    def _start(self) -> subprocess.Popen[bytes]:
        # In a session of its own: Ctrl-C reaches this process, which asks the worker to end at a safe point.  The pipe
        # says the same where this process is killed.
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)

    def _watch(self) -> None:
        short = 0  # lives in a row
        while True:
            began = time.monotonic()
            code = self._process.wait()
            if self._ending.is_set():
                return
            how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
            short = short + 1 if time.monotonic() - began < _SHORT_LIFE_S else 0
            if code == 0 or short >= _MOST_SHORT:
                fail(
                    f"the worker ended {how}; studies wait until there is one: supernaut worker, or restart the server"
                )
                return
            fail(f"the worker ended {how}; another one is started, and goes on with its study when the lease has ended")
            if self._ending.wait(self._pause_s):
                return
            with self._lock:
                if self._ending.is_set():
                    return
                _close_pipe(self._process)
                self._process = self._start()


def _close_pipe(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def _answer(listening: socket.socket, home: Home, hosts: Hosts) -> None:
    """Answer requests until Ctrl-C, which is how one leaves and no error."""
    import uvicorn

    from runner.service.app import create_app
    from runner.service.settings import ServiceSettings

    app = create_app(ServiceSettings(home=home, location=home.database_url, hosts=hosts))

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: object) -> None:
            app.state.service.hub.close_soon()  # streams would otherwise keep the server for as long as it waits
            super().handle_exit(sig, frame)  # type: ignore[arg-type]

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE_S,
    )
    try:
        Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        return
