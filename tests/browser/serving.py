"""Servers and sessions for records of a test's own, beside those that all browser tests share."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import uvicorn

from runner.service.app import create_app
from runner.service.auth import new_token
from runner.service.hosts import Hosts
from runner.service.settings import ServiceSettings
from runner.settings import Home
from runner.store import Repository, open_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext

REPORT = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


@contextmanager
def serving(database: Path, port: int = 0) -> Iterator[str]:
    """A server over a record, in a thread of this process; its address."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        bound = listening.getsockname()[1]
        settings = ServiceSettings(home=Home(database.parent), location=database, hosts=Hosts(bound), poll_s=0.1)
        app = create_app(settings)
        config = uvicorn.Config(app, log_level="warning", lifespan="on", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound}"
        finally:
            server.should_exit = True
            app.state.service.hub.close_soon()  # pages that still listen would keep it
            thread.join(timeout=20)


@contextmanager
def signed_in(
    browser: Browser, address: str, database: Path, *, width: int = 1280, scheme: str = "light"
) -> Iterator[BrowserContext]:
    """A browser with the administrator's session at that server, which tells what the policy refused."""
    with open_repository(database) as repository:
        session = add_session(repository)
    context = browser.new_context(
        base_url=address,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 900},
    )
    context.set_default_timeout(20_000)
    context.add_init_script(REPORT)
    port = address.rpartition(":")[2]
    context.add_cookies(
        [{"name": f"supernaut_{port}", "value": session, "url": address, "httpOnly": True, "sameSite": "Strict"}]
    )
    try:
        yield context
    finally:
        context.close()


def add_session(repository: Repository, scopes: tuple[str, ...] = ("admin",), owner: str = "local") -> str:
    """The text of a new session's cookie."""
    record, session = new_token(owner=owner, name="of a test", scopes=scopes, kind="session", now=datetime.now(UTC))
    repository.create_token(record)
    return session
