"""What routes share: who asks, the record, the study that is meant, pages, and how problems are documented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Header, Path, Query, Request
from fastapi.security import HTTPBearer

from runner.service.auth import Principal
from runner.service.limits import DEFAULT_PAGE, MAX_PAGE
from runner.service.models import ProblemDocument
from runner.service.problems import CODES, MEDIA_TYPE, Problem
from runner.store import AmbiguousId, NotRecorded, Repository, StudyRecord

if TYPE_CHECKING:
    from runner.service.fronts import Fronts
    from runner.service.hub import Hub
    from runner.service.insights import Insights
    from runner.service.metrics import Metrics
    from runner.service.record import Record
    from runner.service.settings import ServiceSettings
    from runner.store.blobs import Blobs
    from runner.store.records import Scope

API = "/api/v1"
_LONGEST_SEGMENT = 128
_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="sn_..., from `supernaut token create`.")


@dataclass(frozen=True, kw_only=True)
class Service:
    """What every route of one server process works with."""

    settings: ServiceSettings
    record: Record
    blobs: Blobs
    hub: Hub
    fronts: Fronts
    insights: Insights
    metrics: Metrics


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service: Service = request.app.state.service
    return service


def _repository(request: Request) -> Repository:
    return service_of(request).record.repository()


def requires(scope: Scope) -> Callable[[Request], Principal]:
    """Who asks, if one of their scopes allows this; the guard has made sure that somebody does."""

    def principal(request: Request, _: Annotated[object, Depends(_BEARER)] = None) -> Principal:
        found: Principal = request.state.principal
        if not found.may(scope):
            raise Problem(
                "forbidden",
                f"This needs the scope {scope}; the token has {', '.join(sorted(found.scopes)) or 'none'}.",
            )
        return found

    return principal


Reader = Annotated[Principal, Depends(requires("read"))]
Submitter = Annotated[Principal, Depends(requires("submit"))]
Administrator = Annotated[Principal, Depends(requires("admin"))]
TheService = Annotated[Service, Depends(service_of)]
TheRecord = Annotated[Repository, Depends(_repository)]
StudyId = Annotated[
    str, Path(max_length=_LONGEST_SEGMENT, description="The id, a beginning of it that no other has, or the name.")
]
RowId = Annotated[str, Path(pattern=r"^[0-9a-f]{8,64}$")]
IdempotencyKey = Annotated[
    str | None, Header(description="Any text of your own: the same request with it is answered once.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items on the page.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before, with the same query.")]
LIMIT = DEFAULT_PAGE


def find_study(repository: Repository, principal: Principal, name_or_id: str) -> StudyRecord:
    """The study that is meant, if they may see it.  Raises `StudyNotFound` or `AmbiguousId`.

    A name means an administrator's own study first.
    """
    if "\x00" in name_or_id:
        raise Problem("study_not_found", "No study that you may see has this id, beginning of an id or name.")
    try:
        return repository.study(name_or_id, owner=principal.sees)
    except AmbiguousId:
        if not principal.is_admin:
            raise
        return repository.study(name_or_id, owner=principal.owner)


def visible(repository: Repository, principal: Principal, study_id: str) -> None:
    """Raise `Problem` unless they may see this study; to others, what belongs to it does not exist."""
    try:
        # Somebody may have named their own study with the id of another one.
        seen = repository.study(study_id, owner=principal.sees).id == study_id
    except NotRecorded:
        seen = False
    if not seen:
        raise Problem("not_found", "Nothing that you may see has this id.")


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """What a route's document says of its problems: these, and those that every route has."""
    by_status: dict[int | str, list[str]] = {}
    for code in sorted({*_EVERYWHERE, *codes}):
        by_status.setdefault(CODES[code][0], []).append(code)
    return {
        status: {
            "description": "A problem: " + ", ".join(f"`{code}`" for code in found),
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}}},
        }
        for status, found in sorted(by_status.items(), key=lambda each: str(each[0]))
    }


_EVERYWHERE = ("unauthenticated", "forbidden", "misdirected", "invalid", "record_unavailable", "internal")
UNSAFE = (
    "bad_request",
    "bad_json",
    "cross_site",
    "body_too_large",
    "too_slow",
    "unsupported_media_type",
)  # of what changes something
STUDY = ("study_not_found", "ambiguous_id")
PAGE = ("bad_cursor", "cursor_of_another_query")
IDEMPOTENT = ("bad_idempotency_key", "idempotency_busy", "idempotency_mismatch")
