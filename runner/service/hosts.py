"""Which names mean this machine alone.  It owns the rule for addresses to listen on and for Host headers."""

from __future__ import annotations

import ipaddress
import re

_HOST = re.compile(r"(?P<name>\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_HTTP_PORT = 80  # what a Host header without a port means


def is_loopback(name: str) -> bool:
    """Whether a name or an address, as it stands in a URL, can mean this machine alone."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return address.is_loopback


def is_own_host(header: str, port: int) -> bool:
    """Whether a Host header names this server: a loopback name with the port it listens on."""
    match = _HOST.fullmatch(header.lower())
    if match is None or not is_loopback(match["name"]):
        return False
    return int(match["port"] or _HTTP_PORT) == port
