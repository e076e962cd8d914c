"""Studies: submitted, listed, changed, deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from runner.service.catalogue_models import ValidationDocument  # noqa: TC001  (FastAPI reads annotations)
from runner.service.cursors import query_digest, read_cursor, write_cursor
from runner.service.documents import stage_document, study_detail, study_documents
from runner.service.files import removed_study_files
from runner.service.guard import YAML_TYPES
from runner.service.idempotency import Made, once
from runner.service.limits import MAX_NAME, read_json
from runner.service.models import Listed, Paged, StageDocument, StudyChange, StudyDetail, StudyDocument
from runner.service.problems import Problem
from runner.service.routes.common import (
    API,
    IDEMPOTENT,
    LIMIT,
    PAGE,
    STUDY,
    UNSAFE,
    Cursor,
    IdempotencyKey,
    Limit,
    Reader,
    StudyId,
    Submitter,
    TheRecord,
    TheService,
    find_study,
    problems,
)
from runner.service.submissions import read_submission, read_yaml
from runner.service.trying import accepted, refuse_taken, refused
from runner.stages import STAGE_NAMES
from runner.store.records import StudyState  # noqa: TC001  (FastAPI reads annotations)

if TYPE_CHECKING:
    from runner.store import Repository, StudyRecord

router = APIRouter(tags=["studies"])

StudySort = Literal["-created_at", "created_at", "name", "-name", "-updated_at", "updated_at"]
_ETAG = re.compile(r'"([0-9]{1,18})"', re.ASCII)
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Submission"}},
        YAML_TYPES[0]: {"schema": {"type": "string", "description": "A study file."}},
    },
}
_MADE: dict[str, Any] = {
    "description": "Recorded; a worker will run it.",
    "headers": {
        "Location": {"schema": {"type": "string"}},
        "ETag": {"schema": {"type": "string"}},
    },
}


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/studies",
    status_code=201,
    response_model=StudyDetail,
    openapi_extra={"requestBody": _BODY},
    responses={
        201: _MADE,
        **problems(*UNSAFE, *IDEMPOTENT, "study_exists", "conflict", "bad_yaml", "path_refused"),
    },
)
def submit(
    request: Request,
    body: Annotated[bytes, Depends(_body)],
    principal: Submitter,
    service: TheService,
    repository: TheRecord,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit a study, which workers run."""
    document = _document(request, body)
    spec = read_submission(document, service.settings.home)

    def make(made_id: str | None) -> Made:
        study = repository.create_study(
            name=spec.name,
            spec=spec.model_dump_json(),
            spec_digest=spec.digest,
            seed=spec.seed,
            stages=STAGE_NAMES,
            owner=principal.owner,
            desired_state="running",
            study_id=made_id,
        )
        headers = {"Location": f"{API}/studies/{study.id}", "ETag": _etag(study)}
        return 201, study_detail(repository, study).model_dump(mode="json"), headers

    return once(repository, principal, idempotency_key, document, request.scope, make)


@router.post("/studies/validate", openapi_extra={"requestBody": _BODY}, responses=problems(*UNSAFE))
def validate_study(
    request: Request,
    body: Annotated[bytes, Depends(_body)],
    principal: Submitter,
    service: TheService,
    repository: TheRecord,
) -> ValidationDocument:
    """Say what would become of a study that is sent like this, and do nothing."""
    try:
        document = _document(request, body)
    except Problem as problem:
        if problem.code != "bad_yaml":
            raise
        return refused(problem, None)
    try:
        spec = read_submission(document, service.settings.home)
        refuse_taken(repository, principal.owner, spec)
    except Problem as problem:
        return refused(problem, document)
    return accepted(spec, document)


@router.get("/studies", responses=problems(*PAGE, "bad_request"))
def list_studies(
    principal: Reader,
    repository: TheRecord,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
    state: StudyState | None = None,
    search: Annotated[str | None, Query(max_length=MAX_NAME, description="Part of the name.")] = None,
    sort: StudySort = "-created_at",
) -> Paged[StudyDocument]:
    """The studies that one may see, page by page."""
    query = query_digest(what="studies", sees=principal.sees, state=state, search=search, sort=sort)
    page = repository.list_studies(
        owner=principal.sees, state=state, search=search, sort=sort, limit=limit, after=read_cursor(query, cursor)
    )
    return Paged(items=study_documents(repository, page.items), next_cursor=write_cursor(query, page.next))


@router.get("/studies/{study}", responses=problems(*STUDY))
def get_study(study: StudyId, principal: Reader, repository: TheRecord, response: Response) -> StudyDetail:
    """One study."""
    return _answered(repository, find_study(repository, principal, study), response)


@router.patch(
    "/studies/{study}",
    responses=problems(*UNSAFE, *STUDY, "illegal_transition", "conflict", "stale_revision", "precondition_required"),
)
def change_study(
    study: StudyId,
    change: StudyChange,
    principal: Submitter,
    repository: TheRecord,
    response: Response,
    if_match: Annotated[str | None, Header(description="The ETag; needed for notes and tags.")] = None,
) -> StudyDetail:
    """Stop or resume a study, or edit its notes and tags."""
    found = find_study(repository, principal, study)
    if change.notes is not None or change.tags is not None:
        found = repository.edit_study(
            found.id,
            _expected(found, if_match),
            notes=change.notes,
            tags=None if change.tags is None else tuple(change.tags),
        )
    if change.desired_state is not None:
        by = f"{principal.owner} ({principal.token_id})"
        found = repository.set_desired_state(found.id, change.desired_state, by=by)
    return _answered(repository, found, response)


@router.delete("/studies/{study}", status_code=204, responses=problems(*UNSAFE, *STUDY, "study_is_running"))
def delete_study(study: StudyId, principal: Submitter, service: TheService, repository: TheRecord) -> None:
    """Delete a study, everything it measured, and its files on this machine."""
    found = find_study(repository, principal, study)
    if found.lease_until is not None and found.lease_until > service.settings.now():
        raise Problem("study_is_running", "A worker runs it. Stop it first, and delete it when it is interrupted.")
    with removed_study_files(service.settings.home, found.id):
        repository.delete_study(found.id)


@router.get("/studies/{study}/stages", responses=problems(*STUDY))
def list_stages(study: StudyId, principal: Reader, repository: TheRecord) -> Listed[StageDocument]:
    """The stages of a study, in order."""
    found = find_study(repository, principal, study)
    return Listed(items=[stage_document(stage) for stage in repository.stages(found.id)])


def _document(request: Request, body: bytes) -> object:
    """What a body of JSON or YAML says of a study.  Raises `Problem`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return read_yaml(body) if kind in YAML_TYPES else _spec_in(read_json(body))


def _spec_in(document: object) -> object:
    if not isinstance(document, dict) or set(document) != {"spec"}:
        raise Problem("invalid", 'Send an object with the one field "spec".')
    return document["spec"]


def _answered(repository: Repository, study: StudyRecord, response: Response) -> StudyDetail:
    response.headers["ETag"] = _etag(study)
    return study_detail(repository, study)


def _etag(study: StudyRecord) -> str:
    return f'"{study.revision}"'


def _expected(study: StudyRecord, if_match: str | None) -> int:
    """The revision that the client has seen."""
    if if_match is None:
        raise Problem("precondition_required", "Send If-Match with the ETag of the study as you have read it.")
    if if_match.strip() == "*":
        return study.revision
    match = _ETAG.fullmatch(if_match.strip())
    if match is None:
        raise Problem("stale_revision", "If-Match is none of this study's ETags.")
    return int(match[1])
