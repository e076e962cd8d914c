"""Code that must not reach the network: every attempt is refused, and the host that it was meant for is kept.

Seen is what goes through Python's `socket`, from any thread; a library that opens connections in C of its own, or in
another process, is not.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Iterator


class ConnectionRefused(OSError):
    """A connection was refused because nothing may be downloaded here."""


@contextmanager
def no_network() -> Iterator[list[str]]:
    """Within, looking up a host or connecting to one raises `ConnectionRefused`.

    Gives the hosts in the order of the attempts, also those whose error somebody swallowed.
    """
    hosts: list[str] = []

    def refuse(host: object) -> None:
        name = host.decode("idna", "replace") if isinstance(host, bytes) else str(host)
        if name not in hosts:
            hosts.append(name)
        raise ConnectionRefused(f"a connection to {name} was refused: nothing may be downloaded while a model is built")

    def look_up(host: object, *_: Any, **__: Any) -> Any:
        refuse(host)

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family == getattr(socket, "AF_UNIX", None):  # a process of this machine
            return before["connect"](self, address)
        return refuse(address[0] if isinstance(address, tuple) else address)

    def connect_ex(self: socket.socket, address: Any) -> Any:
        if self.family == getattr(socket, "AF_UNIX", None):
            return before["connect_ex"](self, address)
        return refuse(address[0] if isinstance(address, tuple) else address)

    before: dict[str, Any] = {"connect": socket.socket.connect, "connect_ex": socket.socket.connect_ex}
    with ExitStack() as stack:
        for name, replacement in (("connect", connect), ("connect_ex", connect_ex)):
            stack.enter_context(patch.object(socket.socket, name, replacement))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            stack.enter_context(patch.object(socket, name, look_up))
        yield hosts
