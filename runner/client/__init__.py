"""Working with studies on a server, from Python and for the command line.  The only package that imports httpx2.

It speaks to the API under /api/v1 and imports neither torch nor what runs studies.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.client.client import Client
    from runner.client.front import Front
    from runner.client.handles import Job, Study
    from runner.client.records import Artifact, Counts, Event

__all__ = ["Client", "Study", "Job", "Front", "Event", "Counts", "Artifact"]

_HOMES = {
    "Client": "runner.client.client",
    "Study": "runner.client.handles",
    "Job": "runner.client.handles",
    "Front": "runner.client.front",
    "Event": "runner.client.records",
    "Counts": "runner.client.records",
    "Artifact": "runner.client.records",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
