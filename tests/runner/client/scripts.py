"""A server that answers from a script, and the documents of the API as it would send them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from runner.client.connection import Connection
from runner.client.finding import Server
from runner.client.retries import Retries

URL = "http://127.0.0.1:8000"
TOKEN = "sn_0123456789abcdef_secret"
TIME = "2026-01-01T00:00:00Z"

Reply = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


class Script:
    """Gives its replies one after another, the last one for ever; keeps what it was asked, and the pauses between."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[httpx2.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        # A copy: the client may send the same object again.
        self.asked.append(httpx2.Request(request.method, request.url, headers=request.headers, content=request.content))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply(request) if callable(reply) else reply

    def connection(self, *, token: str | None = TOKEN, **retries: Any) -> Connection:
        return Connection(
            Server(url=URL, token=token),
            retries=Retries(**retries),
            transport=httpx2.MockTransport(self),
            sleep=self.pauses.append,
            clock=lambda: sum(self.pauses),
            rng=random.Random(0),
        )

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.asked]


def answer(document: object, status: int = 200, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json=document, headers={k.replace("_", "-"): v for k, v in headers.items()})


def problem(status: int, detail: str = "", code: str = "", **more: Any) -> httpx2.Response:
    headers = more.pop("headers", {})
    body = {"title": "A problem", "status": status, "detail": detail, "code": code, "request_id": "r1", **more}
    return httpx2.Response(status, json=body, headers={"Content-Type": "application/problem+json", **headers})


def streaming(*parts: str | Exception) -> Callable[[httpx2.Request], httpx2.Response]:
    """A stream of server-sent events; an exception breaks it off."""

    class Parts(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for part in parts:
                if isinstance(part, Exception):
                    raise part
                yield part.encode()

    return lambda _: httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Parts())


def event(number: int, kind: str = "study.state", **payload: Any) -> str:
    """One event as it is sent."""
    document = {
        "number": number,
        "study_id": "a" * 32,
        "sequence": number,
        "time": TIME,
        "kind": kind,
        "payload": payload,
    }
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(document)}\n\n"


def study(**changes: Any) -> dict[str, Any]:
    return {
        "id": "a" * 32,
        "name": "digits",
        "owner": "local",
        "state": "running",
        "desired_state": "running",
        "reason": None,
        "counts": {"complete": 3, "failed": 1},
        "seed": 0,
        "notes": "",
        "tags": [],
        "revision": 1,
        "created_at": TIME,
        "updated_at": TIME,
        "finished_at": None,
        "page": f"/studies/{'a' * 32}",
        "spec": {"search": {"evaluations": 16}},
        **changes,
    }


def job(**changes: Any) -> dict[str, Any]:
    return {
        "id": "b" * 32,
        "study_id": "a" * 32,
        "kind": "export",
        "payload": {"point": "knee"},
        "state": "queued",
        "reason": None,
        "progress": None,
        "result": None,
        "created_at": TIME,
        "finished_at": None,
        **changes,
    }
