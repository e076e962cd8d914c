"""Which names mean this server.  It owns the rule for addresses to listen on, for Host headers and for origins."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from runner.errors import SpecError

_HOST = re.compile(r"(?P<name>\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_PUBLIC = re.compile(
    r"(?P<name>[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_HTTP_PORT, _HTTPS_PORT = 80, 443  # what a Host header without a port means


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


@dataclass(frozen=True)
class Hosts:
    """The names by which a server is reached: this machine's own, and those that its operator named.

    A public name is reached through something that speaks TLS, so its origin is https.
    """

    port: int
    public: tuple[str, ...] = ()  # as `public_host` returns them
    address: str = "127.0.0.1"  # that the server listens on

    @property
    def here(self) -> str:
        """Where programs on this machine reach it."""
        try:
            everywhere = ipaddress.ip_address(self.address).is_unspecified
        except ValueError:
            everywhere = False
        if everywhere:
            return f"http://{'[::1]' if ':' in self.address else '127.0.0.1'}:{self.port}"
        return f"http://{self._bound}"

    @property
    def _bound(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def answers(self, header: str) -> bool:
        """Whether a Host header names this server.  Its own address is no name that others could point elsewhere."""
        return is_own_host(header, self.port) or self.is_public(header) or header.lower() == self._bound

    def is_public(self, header: str) -> bool:
        """Whether a Host header is one of the public names."""
        try:
            return public_host(header) in self.public
        except SpecError:
            return False

    def origin(self, header: str) -> str:
        """The origin of the pages that were asked for with this Host header, which `answers`."""
        if self.is_public(header):
            return f"https://{public_host(header)}"
        return f"http://{header.lower().removesuffix(f':{_HTTP_PORT}')}"


def public_host(text: str) -> str:
    """A public name in the form that browsers send: lower case, without the usual port.  Raises `SpecError`."""
    match = _PUBLIC.fullmatch(text.lower())
    if match is None or len(text) > 253 or int(match["port"] or 0) > 65535:
        raise SpecError(
            f"--public-host {text}: give the name under which browsers reach the server, such as "
            "supernaut.example.org, with :PORT where that is not 443."
        )
    port = int(match["port"] or _HTTPS_PORT)
    return match["name"] if port == _HTTPS_PORT else f"{match['name']}:{port}"
