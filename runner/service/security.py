"""Which requests are answered at all, and the headers that every answer carries.

There are no accounts yet, so whoever reaches the server may read everything.  It therefore listens on this machine
only, and believes no request whose Host is another name: a page elsewhere could otherwise have its own name resolved
to this machine and read the answers (DNS rebinding).
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse

from runner.dashboard.paper import STYLE
from runner.service.hosts import is_own_host

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLOSED = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

PAGE_POLICY = f"{_CLOSED}; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'"
PICTURE_POLICY = f"{_CLOSED}; style-src 'sha256-{_STYLE_DIGEST}'"  # a picture opened as a page of its own
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
MISDIRECTED = 421


class OwnHostOnly:
    """Answers 421 unless there is exactly one Host header and it names this server."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and is_own_host(hosts[0], self._port):
            await self._app(scope, receive, send)
            return
        words = (
            f"This server answers to localhost:{self._port} and 127.0.0.1:{self._port} only.\n"
            f"Through an SSH tunnel, use the same port on both sides: ssh -L {self._port}:127.0.0.1:{self._port} HOST\n"
        )
        await PlainTextResponse(words, MISDIRECTED)(scope, receive, send)


class SafeHeaders:
    """Puts the headers on every answer that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
