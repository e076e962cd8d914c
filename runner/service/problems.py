"""What the API says when it cannot do what was asked: RFC 9457 problems with a stable code.

Owns the codes, their statuses and titles, and how a problem is written.  A problem repeats nothing of the request's
body: it may hold a secret, or a number that JSON has no word for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from runner.store import (
    AmbiguousId,
    DatabaseTooNew,
    DatabaseTooOld,
    IdempotencyBusy,
    IdempotencyMismatch,
    IllegalTransition,
    InvalidQuery,
    InvalidRecord,
    NotADatabase,
    NotRecorded,
    StaleRevision,
    StaleTransition,
    StoreError,
    StudyExists,
    StudyNotFound,
)

if TYPE_CHECKING:
    from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"
TYPES = "urn:supernaut:problem:"  # docs/api.md says what each code means
RETRY_S = 5  # after which a client may ask again where the record could not be used
_BUSY_RETRY_S = 1
_LONGEST_MESSAGE = 500

# code: (status, title).  Codes are part of the API: none changes its meaning, none is used again.
CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be understood"),
    "bad_json": (400, "The body is not JSON"),
    "bad_cursor": (400, "The cursor cannot be read"),
    "cursor_of_another_query": (400, "The cursor belongs to another query"),
    "bad_filter": (400, "The filter cannot be understood"),
    "bad_sort": (400, "The order is unknown"),
    "bad_idempotency_key": (400, "The idempotency key cannot be used"),
    "ambiguous_id": (400, "Several studies begin with these characters"),
    "unauthenticated": (401, "A token is needed"),
    "forbidden": (403, "The token does not allow this"),
    "cross_site": (403, "The request comes from another site"),
    "not_found": (404, "There is no such thing"),
    "study_not_found": (404, "There is no such study"),
    "point_not_found": (404, "No evaluated architecture fits"),
    "method_not_allowed": (405, "The address does not have this method"),
    "too_slow": (408, "The body did not arrive in time"),
    "study_exists": (409, "You have a study of this name"),
    "illegal_transition": (409, "The state does not allow this"),
    "conflict": (409, "Somebody else was quicker"),
    "study_is_running": (409, "The study is being run"),
    "no_front": (409, "The study has no front that can be read"),
    "idempotency_busy": (409, "The same request is being answered"),
    "artifact_gone": (410, "The file is not in the store of files"),
    "stale_revision": (412, "It was edited in the meantime"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body's type is not accepted"),
    "range_not_satisfiable": (416, "The file does not have this part"),
    "misdirected": (421, "This server does not answer to that name"),
    "invalid": (422, "What was given is not valid"),
    "bad_yaml": (422, "The body is not YAML that can be used"),
    "path_refused": (422, "A path is given where only a registered name may stand"),
    "idempotency_mismatch": (422, "The idempotency key was used for something else"),
    "precondition_required": (428, "If-Match is required"),
    "too_many_jobs": (429, "Too many jobs wait"),
    "internal": (500, "Something went wrong in the server"),
    "record_unavailable": (503, "The record cannot be used now"),
    "artifact_unavailable": (503, "The file cannot be read now"),
    "too_many_listeners": (503, "Too many listeners"),
}


@dataclass(frozen=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field: where it is, as a JSON pointer, and why."""

    pointer: str
    message: str


class Problem(Exception):
    """An answer that is a problem.  Raised anywhere below a route."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code][0]

    @property
    def title(self) -> str:
        """What all problems of this code have in common."""
        return CODES[self.code][1]


def problem_of(error: StoreError) -> Problem:
    """The problem that an error of the record means to a client.

    The store's own words name files, hosts and other people's studies, so none of them is passed on; the log has them.
    """
    for kind, code, detail in _OF_STORE:
        if isinstance(error, kind):
            headers = {"Retry-After": str(_BUSY_RETRY_S)} if code == "idempotency_busy" else {}
            return Problem(code, detail, headers=headers)
    return Problem("record_unavailable", unavailable_words(error), headers={"Retry-After": str(RETRY_S)})


def unavailable_words(error: StoreError) -> str:
    """Why the record cannot be used, without where it lies."""
    for kind, words in _UNAVAILABLE:
        if isinstance(error, kind):
            return words
    return (
        "The database is locked, unreachable or cannot be written at this moment; the server's log says why. Nothing "
        "was changed: the same request can be repeated."
    )


_OF_STORE: tuple[tuple[type[StoreError], str, str], ...] = (
    (StudyNotFound, "study_not_found", "No study that you may see has this id, beginning of an id or name."),
    (NotRecorded, "not_found", "Nothing that you may see has this id."),
    (AmbiguousId, "ambiguous_id", "Give more characters of the id, or the name."),
    (StudyExists, "study_exists", "Choose another name, or delete that study first."),
    (StaleRevision, "stale_revision", "Read it again, and send the change with the new ETag."),
    (IdempotencyMismatch, "idempotency_mismatch", "Use a new key for a new request."),
    (IdempotencyBusy, "idempotency_busy", "The first request with this key is still being answered; ask again."),
    (IllegalTransition, "illegal_transition", "From its present state this does not go there; read it again."),
    (StaleTransition, "conflict", "It changed while this was done; read it again and repeat what still makes sense."),
    (InvalidQuery, "bad_cursor", "Take the cursor from the page before as it is, or begin without one."),
    (InvalidRecord, "invalid", "It holds something that cannot be recorded."),
)
_UNAVAILABLE: tuple[tuple[type[StoreError], str], ...] = (
    (DatabaseTooNew, "A newer version of Supernaut wrote the record; whoever runs the server must install that one."),
    (DatabaseTooOld, "The record is of an older version; whoever runs the server must run `supernaut db upgrade`."),
    (NotADatabase, "The database is damaged or belongs to another program; whoever runs the server must look at it."),
)


def problem_body(problem: Problem, scope: Scope) -> dict[str, Any]:
    """The members of a problem, as RFC 9457 names them."""
    body: dict[str, Any] = {
        "type": f"{TYPES}{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail[:_LONGEST_MESSAGE],
        "instance": scope.get("path", ""),
        "code": problem.code,
        "request_id": request_id_of(scope),
    }
    if problem.errors:
        body["errors"] = [
            {"pointer": each.pointer[:_LONGEST_MESSAGE], "message": each.message[:_LONGEST_MESSAGE]}
            for each in problem.errors
        ]
    return body


def problem_response(problem: Problem, scope: Scope) -> JSONResponse:
    """A problem as an answer."""
    return JSONResponse(problem_body(problem, scope), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def request_id_of(scope: Scope) -> str:
    """The id of a request, empty before it has one."""
    return str(scope.get("state", {}).get("request_id", ""))


def pointer(location: Sequence[int | str]) -> str:
    """A JSON pointer (RFC 6901) to a place in the body."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


def finite(value: Any) -> Any:
    """The same value with `null` for NaN and infinity, which JSON has no words for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


class FiniteJSONResponse(JSONResponse):
    """JSON in which no number can be NaN: the record's free-form parts are written by others."""

    def render(self, content: Any) -> bytes:
        """The bytes."""
        try:
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ValueError:
            text = json.dumps(finite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")
