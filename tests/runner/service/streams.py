"""An HTTP client for answers that do not end: it talks to the application directly, chunk by chunk."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from fastapi import FastAPI

PATIENCE_S = 30.0


@dataclass
class Stream:
    """One answer, as it comes."""

    app: FastAPI
    path: str
    headers: Mapping[str, str]
    query: str = ""
    status: int = 0
    reading: bool = True  # a client that does not read blocks the server's sending
    _chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    _left: asyncio.Event = field(default_factory=asyncio.Event)
    _resumed: asyncio.Event = field(default_factory=asyncio.Event)
    _text: str = ""

    async def __aenter__(self) -> Stream:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "headers": [
                (b"host", b"127.0.0.1:8000"),
                *((name.lower().encode(), value.encode()) for name, value in self.headers.items()),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        self._task = asyncio.create_task(self._run(scope))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._left.set()
        self._resumed.set()
        await asyncio.wait_for(self._task, PATIENCE_S)

    async def _run(self, scope: dict[str, Any]) -> None:
        begun = False

        async def receive() -> dict[str, Any]:
            nonlocal begun
            if not begun:
                begun = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            elif message.get("body"):
                if not self.reading:
                    await self._resumed.wait()
                self._chunks.put_nowait(message["body"])

        try:
            await self.app(scope, receive, send)
        finally:
            self._chunks.put_nowait(None)

    def resume(self) -> None:
        """Read again."""
        self.reading = True
        self._resumed.set()

    async def block(self) -> str | None:
        """The next block of lines; None at the end."""
        while "\n\n" not in self._text:
            chunk = await asyncio.wait_for(self._chunks.get(), PATIENCE_S)
            if chunk is None:
                return None
            self._text += chunk.decode()
        found, self._text = self._text.split("\n\n", 1)
        return found

    async def numbers(self, count: int) -> list[int]:
        """The ids of the next so many events."""
        found: list[int] = []
        while len(found) < count:
            block = await self.block()
            assert block is not None, found
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in lines:
                found.append(int(lines["id"]))
        return found


def in_a_loop_of_its_own(test: Coroutine[Any, Any, None], patience_s: float = 4 * PATIENCE_S) -> None:
    """Run a coroutine in a thread, because the browser of other tests keeps a loop running in this one."""

    async def limited() -> None:
        await asyncio.wait_for(test, patience_s)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, limited()).result()
