"""What a server's answers mean here: frozen values, shared with the record where it has the same.

The one place that knows the names in the documents of the API.  What lacks them raises `ServerFault`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from runner.errors import ServerFault
from runner.store.records import EvaluationRecord, Failure, StageRecord, ValueRecord
from search_spaces import Architecture

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a study."""

    number: int  # one order over all studies
    study_id: str
    time: datetime
    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many evaluations of a study there are."""

    complete: int = 0
    failed: int = 0

    @property
    def all(self) -> int:
        """Both."""
        return self.complete + self.failed


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that the server keeps."""

    id: str
    study_id: str
    kind: str
    sha256: str
    bytes: int
    created_at: datetime


def from_the_server(read: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """Makes of a reader one that raises `ServerFault` where the document is not as it should be."""

    @wraps(read)
    def reader(*arguments: _Given.args, **named: _Given.kwargs) -> _Made:
        try:
            return read(*arguments, **named)
        except ServerFault:
            raise
        except KeyError as error:
            raise ServerFault(f"the server's answer has no {error}; is it of another version of Supernaut?") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ServerFault(
                f"the server's answer cannot be read: {error}; is it of another version of Supernaut?"
            ) from error

    return reader


@from_the_server
def event_from(document: Mapping[str, Any]) -> Event:
    """One event."""
    return Event(
        number=int(document["number"]),
        study_id=str(document["study_id"]),
        time=time_from(document["time"]),
        kind=str(document["kind"]),
        payload=dict(document["payload"]),
    )


@from_the_server
def counts_from(document: Mapping[str, Any]) -> Counts:
    """How many evaluations."""
    return Counts(complete=int(document["complete"]), failed=int(document["failed"]))


@from_the_server
def artifact_from(document: Mapping[str, Any]) -> Artifact:
    """One file."""
    return Artifact(
        id=str(document["id"]),
        study_id=str(document["study_id"]),
        kind=str(document["kind"]),
        sha256=str(document["sha256"]),
        bytes=int(document["bytes"]),
        created_at=time_from(document["created_at"]),
    )


@from_the_server
def stage_from(document: Mapping[str, Any], study_id: str) -> StageRecord:
    """One stage."""
    return StageRecord(
        study_id=study_id,
        name=document["name"],
        position=document["position"],
        state=document["state"],
        detail=dict(document["detail"]),
        started_at=time_or_none(document["started_at"]),
        finished_at=time_or_none(document["finished_at"]),
    )


@from_the_server
def evaluation_from(document: Mapping[str, Any], study_id: str) -> EvaluationRecord:
    """One evaluation."""
    failure = document["failure"]
    return EvaluationRecord(
        id=document["id"],
        study_id=study_id,
        sequence=document["sequence"],
        digest=document["digest"],
        architecture_json=architecture_from(document["architecture"]).to_json(),
        fidelity=document["fidelity"],
        seed=document["seed"],
        origin=document["origin"],
        values=tuple(value_from(value) for value in document["values"]),
        failure=None if failure is None else Failure(kind=failure["kind"], message=failure["message"]),
        attempt=document["attempt"],
        duration_ms=document["duration_ms"],
        created_at=time_from(document["created_at"]),
    )


@from_the_server
def value_from(document: Mapping[str, Any]) -> ValueRecord:
    """One number and where it came from."""
    return ValueRecord(
        metric=document["metric"],
        value=float(document["value"]),
        provenance=document["provenance"],
        lower=document["lower"],
        upper=document["upper"],
        device_id=document["device_id"],
    )


@from_the_server
def architecture_from(document: Mapping[str, Any]) -> Architecture:
    """One architecture."""
    return Architecture.from_json(json.dumps(document))


@from_the_server
def time_from(text: str) -> datetime:
    """A time, in UTC."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return time.astimezone(UTC)


def time_or_none(text: str | None) -> datetime | None:
    """A time, or that there is none."""
    return None if text is None else time_from(text)
