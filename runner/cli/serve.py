"""`supernaut serve`: the pages in a browser, on this machine alone."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.common import home_of, say

if TYPE_CHECKING:
    from pathlib import Path

_GRACE_S = 3  # for answers that are under way when someone stops the server
_BACKLOG = 128


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(serve)


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="The address to listen on; it must be one of this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes any free one.")] = 8000,
) -> None:
    """Show the studies in a browser until Ctrl-C."""
    listening = _listen(host, port)
    with listening:
        address, bound = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        database = home_of(context).database
        say(f"Supernaut at http://{shown}:{bound}  (Ctrl-C ends it)")
        say(f"the record is {database}")
        sys.stdout.flush()
        _answer(listening, database, bound)
    say("stopped")


def _listen(host: str, port: int) -> socket.socket:
    """A socket on a loopback address.  Raises `SpecError` for any other address, `Conflict` where the port is taken."""
    from runner.errors import Conflict, SpecError
    from runner.service.hosts import is_loopback

    if not is_loopback(host):
        raise SpecError(
            f"--host {host}: this version has no authentication, so it listens on this machine only (127.0.0.1, ::1 or "
            f"localhost). From another machine use an SSH tunnel: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE, then "
            f"open http://127.0.0.1:{port} there."
        )
    name = "127.0.0.1" if host == "localhost" else host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((name, port))
        listening.listen(_BACKLOG)
    except PermissionError as error:
        listening.close()
        raise SpecError(f"--port {port}: only the system's administrator may use it; choose 1024 or above.") from error
    except OSError as error:
        listening.close()
        raise Conflict(
            f"cannot listen on {name} port {port}: {error.strerror or error}. Another server may be running there; "
            f"stop it or choose another port: supernaut serve --port {port + 1 if port < 65535 else 8000}"
        ) from error
    return listening


def _answer(listening: socket.socket, database: Path, port: int) -> None:
    """Answer requests until Ctrl-C, which is how one leaves and no error."""
    import uvicorn

    from runner.service.app import create_app

    config = uvicorn.Config(
        create_app(database, port=port),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE_S,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        return
