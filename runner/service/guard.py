"""What every request passes before any route sees it, refused by default.

Owns the order: an id, the name of the server, who asks, where an unsafe request comes from, what its body is.  A route
that is added later is behind all of it without saying so.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders

from runner.service.answers import answer_problem
from runner.service.auth import principal_of, unauthenticated, verify
from runner.service.limits import BODY_TIMEOUT_S, MAX_BODY_BYTES, read_json
from runner.service.problems import Problem, problem_of
from runner.service.security import HEADERS
from runner.store import StoreError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from runner.service.auth import Principal
    from runner.service.metrics import Metrics
    from runner.service.record import Record
    from runner.service.settings import ServiceSettings
    from runner.service.touched import Touched

JSON_TYPE = "application/json"
YAML_TYPES = ("application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml")

_SAFE = frozenset(("GET", "HEAD"))
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_OPEN = frozenset(("/healthz", "/readyz", "/login"))  # to anyone; so are the files below /static/
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_BEARER = re.compile(r"[Bb]earer +(\S+)", re.ASCII)


class Guard:
    """The outermost layer."""

    def __init__(
        self, app: ASGIApp, *, settings: ServiceSettings, record: Record, metrics: Metrics, touched: Touched
    ) -> None:
        self._app = app
        self._settings = settings
        self._record = record
        self._metrics = metrics
        self._touched = touched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets here; the server closes them
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        given = headers.get("x-request-id", "")
        state["request_id"] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        began, status = time.perf_counter(), 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                answer["X-Request-ID"] = state["request_id"]
            await send(message)

        try:
            try:
                receive = await self._admit(scope, headers, receive)
            except Problem as problem:
                await answer_problem(problem, scope)(scope, receive, send_guarded)
                return
            except StoreError as error:
                await answer_problem(problem_of(error), scope)(scope, receive, send_guarded)
                return
            await self._app(scope, receive, send_guarded)
        finally:
            self._metrics.answered(scope, status, time.perf_counter() - began)

    async def _admit(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """What the routes may read the body from.  Raises `Problem` for what is not let through."""
        names = headers.getlist("host")
        if len(names) != 1 or not self._settings.hosts.answers(names[0]):
            raise self._misdirected()
        path: str = scope["path"]
        principal: Principal | None = None
        if path not in _OPEN and not path.startswith("/static/"):
            principal = await run_in_threadpool(self._who, headers)
            scope["state"]["principal"] = principal
        if scope["method"] in _SAFE:
            return receive
        self._check_origin(headers, names[0], principal)
        return await _checked_body(scope["method"], headers, receive)

    def _misdirected(self) -> Problem:
        port = self._settings.hosts.port
        others = "".join(f", {name}" for name in self._settings.hosts.public)
        return Problem(
            "misdirected",
            f"This server answers to localhost:{port} and 127.0.0.1:{port}{others} only. Through an SSH tunnel, use "
            f"the same port on both sides: ssh -L {port}:127.0.0.1:{port} HOST",
        )

    def _who(self, headers: Headers) -> Principal:
        """Who asks.  Raises `Problem` where nobody says so."""
        given = headers.getlist("authorization")
        if given:
            match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
            text, kind = (match[1] if match else ""), "token"
        else:
            text, kind = self._session(headers), "session"
            if not text:
                raise unauthenticated("Send the header Authorization: Bearer TOKEN, or open a one-time link.")
        now = self._settings.now()
        token = verify(self._record.repository(), text, ("token",) if kind == "token" else ("session",), now)
        if token is None:
            raise unauthenticated(f"This {kind} is unknown, was revoked or expired.")
        self._touched.add(token.id)
        return principal_of(token)

    def _session(self, headers: Headers) -> str:
        try:
            cookie = SimpleCookie("; ".join(headers.getlist("cookie"))).get(self._settings.cookie)
        except CookieError:
            return ""
        return "" if cookie is None else cookie.value

    def _check_origin(self, headers: Headers, host: str, principal: Principal | None) -> None:
        """Refuse what a page of another site sent, or could have."""
        origins, site = headers.getlist("origin"), headers.get("sec-fetch-site")
        own = self._settings.hosts.origin(host)
        if any(origin.lower() != own for origin in origins) or site not in (None, "same-origin", "none"):
            raise Problem("cross_site", "Requests that change something are taken from this server's own pages only.")
        by_cookie = principal is not None and principal.kind == "session"
        if by_cookie and not origins and site is None:
            raise Problem(
                "cross_site", "With a session the header Origin or Sec-Fetch-Site is needed; or send a token."
            )


async def _checked_body(method: str, headers: Headers, receive: Receive) -> Receive:
    """The body, read as a whole, of a type that no form can have, and sound if it is JSON."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:12]) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        body = await asyncio.wait_for(_read(receive), BODY_TIMEOUT_S)
    except TimeoutError:
        raise Problem("too_slow", f"The whole body must arrive within {BODY_TIMEOUT_S} seconds.") from None
    if body or method in _WITH_BODY:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON_TYPE and kind not in YAML_TYPES:
            raise Problem("unsupported_media_type", f"Send {JSON_TYPE}; a study may also be {YAML_TYPES[0]}.")
        if headers.get("content-encoding", "identity") != "identity":
            raise Problem("unsupported_media_type", "Send the body as it is, without Content-Encoding.")
        if kind == JSON_TYPE:
            await run_in_threadpool(read_json, body)
    return _replayed(body, receive)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("bad_request", "The request broke off.")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, then what follows it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _too_large() -> Problem:
    return Problem("body_too_large", f"A body has at most {MAX_BODY_BYTES:,} bytes.", headers={"Connection": "close"})
