"""Events as they happen: streams of server-sent events that go on where they broke off.

Each event has its number as id, and the document of `EventDocument` as data.  A comment is a sign of life.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from runner.service.cursors import query_digest, read_cursor, write_cursor
from runner.service.documents import event_document
from runner.service.models import EventDocument, Paged
from runner.service.problems import Problem
from runner.service.routes.common import (
    LIMIT,
    PAGE,
    STUDY,
    Cursor,
    Limit,
    Reader,
    Service,
    StudyId,
    TheRecord,
    TheService,
    find_study,
    problems,
)

if TYPE_CHECKING:
    from runner.service.auth import Principal

router = APIRouter(tags=["events"])

_LARGEST = 2**63 - 1
_RETRY_MS = 2_000
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: the id is the number, the data an EventDocument.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
After = Annotated[int | None, Query(ge=0, le=_LARGEST, description="The number of the last event that was seen.")]
LastEventId = Annotated[str | None, Header(description="The same; what a browser sends when it comes back.")]


@router.get(
    "/studies/{study}/events",
    response_class=StreamingResponse,
    responses={**_STREAM, **problems(*STUDY, "bad_request", "too_many_listeners")},
)
async def study_events(
    study: StudyId, principal: Reader, service: TheService, after: After = None, last_event_id: LastEventId = None
) -> StreamingResponse:
    """The events of a study: all that there were, or those since a number; then each as it happens."""
    found = await run_in_threadpool(lambda: find_study(service.record.repository(), principal, study))
    seen = _seen(after, last_event_id)
    return _stream(service, principal, found.id, 0 if seen is None else seen)


@router.get("/studies/{study}/history", responses=problems(*STUDY, *PAGE))
def study_history(
    study: StudyId, principal: Reader, repository: TheRecord, limit: Limit = LIMIT, cursor: Cursor = None
) -> Paged[EventDocument]:
    """The events of a study that there were, page by page, the newest first."""
    found = find_study(repository, principal, study)
    query = query_digest(what="history", study=found.id)
    place = read_cursor(query, cursor)
    events = repository.events_before(found.id, None if place is None else _sequence(place), limit=limit + 1)
    shown = events[:limit]
    following = (shown[-1].sequence,) if len(events) > limit else None
    return Paged(items=[event_document(event) for event in shown], next_cursor=write_cursor(query, following))


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={**_STREAM, **problems("bad_request", "too_many_listeners")},
)
async def all_events(
    principal: Reader, service: TheService, after: After = None, last_event_id: LastEventId = None
) -> StreamingResponse:
    """The events of all studies that one may see: those since a number, or from now on."""
    return _stream(service, principal, None, _seen(after, last_event_id))


def _sequence(place: tuple[object, ...]) -> int:
    if len(place) != 1 or type(place[0]) is not int or not 0 <= place[0] <= _LARGEST:
        raise Problem("bad_cursor", "Take the cursor from the page before as it is, or begin without one.")
    return place[0]


def _seen(after: int | None, last_event_id: str | None) -> int | None:
    """The header counts where there are both: it is the newer."""
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= 19):
        raise Problem("bad_request", "Last-Event-ID is the number of an event.")
    return min(int(last_event_id), _LARGEST)


def _stream(service: Service, principal: Principal, study_id: str | None, after: int | None) -> StreamingResponse:
    service.hub.check_room()
    return StreamingResponse(
        _lines(service, principal, study_id, after), headers=_HEADERS, media_type="text/event-stream"
    )


async def _lines(service: Service, principal: Principal, study_id: str | None, after: int | None) -> AsyncIterator[str]:
    settings = service.settings
    events = service.hub.listen(
        owner=principal.sees,
        study_id=study_id,
        after=after,
        heartbeat_s=settings.heartbeat_s,
        life_s=settings.stream_life_s,
    )
    async for event in events:
        if event is None:
            yield ": still here\n\n"
        elif isinstance(event, int):
            # An id without data: nothing is told, and who comes back goes on from here.
            yield f"retry: {_RETRY_MS}\nid: {event}\n\n"
        else:
            yield f"id: {event.number}\ndata: {event_document(event).model_dump_json()}\n\n"
