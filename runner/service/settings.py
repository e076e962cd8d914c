"""What one server process is told when it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from runner.service.hosts import Hosts
from runner.store.transactions import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from runner.settings import Home


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """Where the state is, which names the server has, and its clocks."""

    home: Home
    location: str | Path  # of the record: a path or a database URL
    hosts: Hosts = field(default_factory=lambda: Hosts(8000))
    now: Callable[[], datetime] = utc_now
    busy_timeout_ms: int = 2_000  # an answer that says the record is locked is better than one that does not come
    poll_s: float = 0.25  # between two looks for new events, while somebody listens
    heartbeat_s: float = 15.0  # between two signs of life on a silent stream
    stream_life_s: float = 3600.0  # after which a listener has to show its token again

    @property
    def cookie(self) -> str:
        """The name of the session's cookie.  Browsers share cookies between the ports of a machine."""
        return f"supernaut_{self.hosts.port}"
