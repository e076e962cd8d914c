"""A request for every operation of the OpenAPI document, so that tests cover routes that are added later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

SPEC: dict[str, Any] = {
    "name": "new",
    "task": {"name": "digits"},
    "space": {"name": "vision_transformer"},
    "objectives": {"error": {}, "latency_ms": {}},
}
BODIES: Mapping[str, dict[str, Any]] = {
    "submit": {"spec": SPEC},
    "validate_study": {"spec": SPEC},
    "change_study": {"desired_state": "stopped"},
    "create_job": {"kind": "export", "point": "knee"},
    "change_job": {"desired_state": "cancelled"},
    "create_token": {"name": "theirs", "scopes": ["read"]},
    "create_link": {},
}
NOBODY: Mapping[str, str] = {
    "study": "digits",
    "digest": "knee",
    "job": "0" * 32,
    "artifact": "0" * 32,
    "token": "0" * 16,
}


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    name: str
    method: str
    path: str
    body: dict[str, Any] | None

    def at(self, values: Mapping[str, str] = NOBODY) -> str:
        return self.path.format(**values)

    @property
    def is_unsafe(self) -> bool:
        return self.method != "GET"

    @property
    def is_stream(self) -> bool:
        return self.path.endswith("/events")


_known: list[Operation] = []  # all applications have the same


def operations(app: FastAPI) -> list[Operation]:
    """All that are documented."""
    if _known:
        return _known
    _known[:] = [
        Operation(
            operation["operationId"],
            method.upper(),
            path,
            None if method in ("get", "delete") else BODIES[operation["operationId"]],
        )
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(_known) > 25
    return _known
