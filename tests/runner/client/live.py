"""The real service, in a thread of this process, over a record that a study could have left behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from runner.service.app import create_app
from runner.service.hosts import Hosts
from runner.service.local import announced, ensure_token
from runner.service.settings import ServiceSettings
from runner.store import open_repository
from runner.store.transactions import utc_now

if TYPE_CHECKING:
    from runner.settings import Home


@contextmanager
def serving(home: Home) -> Iterator[str]:
    """The address of a server on this state folder, which finds its token and address as after `supernaut serve`."""
    with open_repository(home.database) as repository:
        ensure_token(home, repository, utc_now())
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        port = listening.getsockname()[1]
        app = create_app(ServiceSettings(home=home, location=home.database, hosts=Hosts(port), heartbeat_s=0.2))
        config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            url = f"http://127.0.0.1:{port}"
            with announced(home, url):
                yield url
        finally:
            app.state.service.hub.close()
            server.should_exit = True
            thread.join()
