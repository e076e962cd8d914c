"""Which server a client talks to, and the token it shows there.

A token is sent to the server that it was made for and to no other: the one in the state folder only to the server that
runs on that folder.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.errors import Refused, ServerUnreachable
from runner.settings import Home

if TYPE_CHECKING:
    from pathlib import Path

SERVER_VARIABLE, TOKEN_VARIABLE = "SUPERNAUT_SERVER", "SUPERNAUT_TOKEN"
START_ONE = "start one: supernaut serve"

_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")  # what may stand in a header


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a server is, and who we are there."""

    url: str  # without a slash at its end
    token: str | None = field(repr=False)


def find_server(url: str | None = None, token: str | None = None, home: Home | None = None) -> Server:
    """The server at `url`, else at $SUPERNAUT_SERVER, else the one that runs on the state folder.

    The token is `token`, else $SUPERNAUT_TOKEN, else, for the server of the state folder, the one kept there.
    Raises `ServerUnreachable` where none runs, `Refused` for an address or a token that cannot be one.
    """
    home = home or Home.find()
    named = url or os.environ.get(SERVER_VARIABLE)
    token = token or os.environ.get(TOKEN_VARIABLE)
    if named:
        address = _address(named)
        own = token is None and address == written_url(home)
        return Server(url=address, token=_checked(_kept_token(home) if own else token))
    running = running_url(home)
    if running is None:
        raise ServerUnreachable(
            f"no server runs on the state folder {home.path}; {START_ONE}. One elsewhere is named with --server or "
            f"${SERVER_VARIABLE}."
        )
    return Server(url=running, token=_checked(token or _kept_token(home)))


def running_url(home: Home) -> str | None:
    """The address of the server that runs on this folder, or None; whether it answers is seen when it is asked."""
    written = _written(home)
    if written is None or not _is_alive(written.get("pid")):
        return None
    return _address(str(written.get("url")))


def written_url(home: Home) -> str | None:
    """The address that a server on this folder wrote down, be it running or not."""
    written = _written(home)
    return None if written is None else _address(str(written.get("url")))


def _written(home: Home) -> dict[str, object] | None:
    try:
        found = json.loads(_server_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ServerUnreachable(f"{_server_file(home)} cannot be read: {error}; restart the server.") from error
    return found if isinstance(found, dict) else None


def _server_file(home: Home) -> Path:
    return home.path / "server.json"


def _kept_token(home: Home) -> str | None:
    path = home.path / "token"
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Refused(f"the token in {path} cannot be read: {error}; give one in ${TOKEN_VARIABLE}.") from error


def _is_alive(pid: object) -> bool:
    """Whether this user has such a process: the port of one that was killed may be somebody else's by now."""
    if type(pid) is not int or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False
    return True


def _address(url: str) -> str:
    """The address in one spelling.  Raises `Refused` for what is none."""
    try:
        parts = urlsplit(url.strip())
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or parts.username is not None:
        raise Refused(
            f"{url!r} is no address of a server; write it as http://HOST:PORT or https://HOST, without a user name."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _checked(token: str | None) -> str | None:
    if token is not None and not _TOKEN.fullmatch(token):
        raise Refused(f"the token holds characters that none has, or is empty; copy it again into ${TOKEN_VARIABLE}.")
    return token
