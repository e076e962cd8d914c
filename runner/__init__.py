"""One study from submission to exported files, here or on a server."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.client.client import Client
    from runner.search.engine import search
    from runner.search.result import SearchResult
    from runner.study import StudySpec, load_study

__all__ = ["search", "SearchResult", "StudySpec", "load_study", "Client"]

_HOMES = {
    "search": "runner.search",  # the package can be called as the function; see there
    "SearchResult": "runner.search.result",
    "StudySpec": "runner.study",
    "load_study": "runner.study",
    "Client": "runner.client.client",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: `supernaut --help` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_HOMES[name])
    return module if name == "search" else getattr(module, name)
