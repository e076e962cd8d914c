"""Calls to one server: their timeouts, which of them are tried again, and answers that become values or errors.

Every call may be tried again: those that make something carry a key by which the server knows the second from the
first.
"""

from __future__ import annotations

import json
import random
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import httpx2

from runner.client.finding import START_ONE, Server
from runner.client.problems import TOO_MANY_JOBS, Problem, error_of, read_problem
from runner.client.retries import Retries
from runner.errors import NotFound, Refused, ServerFault, ServerUnreachable
from runner.service.hosts import is_loopback

API = "/api/v1"
CONNECT_S = 5.0
KEY = "Idempotency-Key"
_ASKS_TO_COME_AGAIN = (429, 502, 503, 504)
_TRANSIENT = (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError, httpx2.ProxyError)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered, where it did not refuse."""

    document: Any
    headers: Mapping[str, str]


class Connection:
    """Calls to a server; use as a context manager, or leave it to end with its last user."""

    def __init__(
        self,
        server: Server,
        *,
        timeout_s: float = 30.0,
        retries: Retries | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.server = server
        self.retries = retries or Retries()
        self.sleep, self._clock = sleep, clock
        self.rng = rng or random.Random()
        self._met = False  # whether somebody has ever listened there
        headers = {"User-Agent": f"supernaut/{version('supernaut')}", "Accept": "application/json"}
        if server.token is not None:
            headers["Authorization"] = f"Bearer {server.token}"
        parts = urlsplit(server.url)
        here = is_loopback(parts.hostname or "")
        self._http = httpx2.Client(
            base_url=server.url,
            headers=headers,
            timeout=httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
            transport=transport,
            trust_env=not here,  # no proxy sees what stays on this machine
            # Without TLS there is nothing to verify, and reading all certificates takes a tenth of a second.
            verify=not (here and parts.scheme == "http"),
            follow_redirects=False,
        )
        self._close = weakref.finalize(self, self._http.close)

    def close(self) -> None:
        """End the connections to the server."""
        self._close()

    def get(self, path: str, **params: object) -> Any:
        """The document at a path; parameters that are None are left out."""
        return self.call("GET", path, params=params).document

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call, tried again where that may help; `body` is sent as JSON.

        Whoever gives up a call with an idempotency key cannot know whether it was heard, so a server that was there
        once is waited for longer with it.  Raises `ServerUnreachable` where nobody answers, and what `error_of` makes
        of a refusal.
        """
        sent = dict(headers or {})
        content = None
        if body is not None:
            content, sent["Content-Type"] = _json(body), "application/json"
        request = self._http.build_request(
            method, API + path, params=_given(params or {}), content=content, headers=sent
        )
        failures, began = 0, self._clock()
        while True:
            try:
                response = self._http.send(request)
            except _TRANSIENT as error:
                failures += 1
                self._met |= not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
                if self.retries.over(failures, self._clock() - began, patient=KEY in sent and self._met):
                    raise self.unreachable(error, failures) from error
                self.sleep(self.retries.pause_s(failures, self.rng))
                continue
            except httpx2.HTTPError as error:
                raise self.unreachable(error, failures + 1) from error
            self._met = True
            if response.is_success:
                document = None if response.status_code == 204 else self._document(response)
                return Answer(document=document, headers=response.headers)
            problem = _problem(response)
            if method == "DELETE" and problem.status == 404 and failures:
                return Answer(document=None, headers=response.headers)  # an earlier attempt was heard
            failures += 1
            over = self.retries.over(failures, self._clock() - began, patient=KEY in sent)
            if over or not _passes(problem, response):
                raise error_of(problem, self.server.url)
            self.sleep(self.retries.pause_s(failures, self.rng, _asked_s(response)))

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float | None = None,
    ) -> Iterator[httpx2.Response]:
        """An answer to read while it comes, tried once; `silence_s` is how long nothing may come.

        Raises what `call` raises, `Interruption` where it breaks off.
        """
        timeout = self._http.timeout if silence_s is None else httpx2.Timeout(silence_s, connect=CONNECT_S)
        try:
            with self._http.stream(
                "GET", API + path, params=_given(params or {}), headers=dict(headers or {}), timeout=timeout
            ) as response:
                if not response.is_success:
                    response.read()
                    self._refuse(response)
                yield response
        except _TRANSIENT as error:
            raise Interruption(str(error) or type(error).__name__) from error
        except httpx2.HTTPError as error:
            raise self.unreachable(error, 1) from error

    def unreachable(self, error: Exception, attempts: int) -> ServerUnreachable:
        """The error for a server that did not answer."""
        times = "" if attempts == 1 else f", tried {attempts} times"
        here = is_loopback(urlsplit(self.server.url).hostname or "")
        remedy = f"If none runs, {START_ONE}" if here else "Look whether it runs, and whether this address is its own"
        words = str(error) or type(error).__name__
        return ServerUnreachable(f"no answer from {self.server.url}{times}: {words}. {remedy}.")

    def _refuse(self, response: httpx2.Response) -> NoReturn:
        problem = _problem(response)
        if _passes(problem, response):
            raise Interruption(problem.words, asked_s=_asked_s(response))
        raise error_of(problem, self.server.url)

    def _document(self, response: httpx2.Response) -> Any:
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise ServerFault(
                f"{self.server.url} answered with something else than JSON; is it the address of a Supernaut server?"
            ) from error


class Interruption(Exception):
    """An answer broke off, or the server asks to come again; never seen outside of this package."""

    def __init__(self, words: str, asked_s: float | None = None) -> None:
        super().__init__(words)
        self.asked_s = asked_s


def segment(name: str) -> str:
    """A name as one part of a path, whatever it holds.  Raises `NotFound` for what names nothing."""
    if name in ("", ".", ".."):
        raise NotFound(f"nothing is named {name!r}.")
    return quote(name, safe="")


def _json(body: object) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(f"this cannot be sent as JSON: {error}.") from error


def _given(params: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _problem(response: httpx2.Response) -> Problem:
    try:
        document = response.json()
    except (ValueError, RecursionError):
        document = None
    return read_problem(response.status_code, document)


def _passes(problem: Problem, response: httpx2.Response) -> bool:
    """Whether the same call may be answered a little later."""
    if problem.status == 409:  # the same request is being answered
        return "retry-after" in response.headers
    return problem.status in _ASKS_TO_COME_AGAIN and problem.code != TOO_MANY_JOBS


def _asked_s(response: httpx2.Response) -> float | None:
    try:
        return max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        return None
