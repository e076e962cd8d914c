"""Jobs: what workers do with points of a study besides running it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from runner.front import NAMED_POINTS
from runner.service.documents import job_document
from runner.service.idempotency import Made, once
from runner.service.limits import MAX_WAITING_JOBS
from runner.service.models import JobChange, JobDocument, JobRequest, Listed
from runner.service.problems import FieldProblem, Problem
from runner.service.routes.common import (
    API,
    IDEMPOTENT,
    STUDY,
    UNSAFE,
    IdempotencyKey,
    Reader,
    RowId,
    StudyId,
    Submitter,
    TheRecord,
    find_study,
    problems,
    visible,
)
from runner.store.queries import Filter
from supernet.export.formats.registry import format_names

if TYPE_CHECKING:
    from runner.store import Repository, StudyRecord

router = APIRouter(tags=["jobs"])

_RETRY_S = 60
_QUEUED: dict[str, Any] = {
    "description": "Queued; a worker will do it.",
    "headers": {"Location": {"schema": {"type": "string"}}},
}


@router.post(
    "/studies/{study}/jobs",
    status_code=202,
    response_model=JobDocument,
    responses={202: _QUEUED, **problems(*UNSAFE, *STUDY, *IDEMPOTENT, "point_not_found", "too_many_jobs")},
)
def create_job(
    request: Request,
    study: StudyId,
    job: JobRequest,
    principal: Submitter,
    repository: TheRecord,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Ask for points to be retrained, or exported."""
    found = find_study(repository, principal, study)
    _check(job)

    def make(made_id: str | None) -> Made:
        waiting = [each for each in repository.jobs(found.id) if each.state in ("queued", "running")]
        if len(waiting) >= MAX_WAITING_JOBS and made_id not in {each.id for each in waiting}:
            raise Problem(
                "too_many_jobs",
                f"{len(waiting)} jobs of this study wait already; let some end, or cancel some.",
                headers={"Retry-After": str(_RETRY_S)},
            )
        _check_point(repository, found, job.point)
        made = repository.create_job(found.id, job.kind, job.model_dump(mode="json", exclude={"kind"}), job_id=made_id)
        return 202, job_document(made).model_dump(mode="json"), {"Location": f"{API}/jobs/{made.id}"}

    return once(repository, principal, idempotency_key, job.model_dump(mode="json"), request.scope, make)


@router.get("/studies/{study}/jobs", responses=problems(*STUDY))
def list_jobs(study: StudyId, principal: Reader, repository: TheRecord) -> Listed[JobDocument]:
    """The jobs of a study, the oldest first."""
    found = find_study(repository, principal, study)
    return Listed(items=[job_document(job) for job in repository.jobs(found.id)])


@router.get("/jobs/{job}", responses=problems("not_found"))
def get_job(job: RowId, principal: Reader, repository: TheRecord) -> JobDocument:
    """One job."""
    found = repository.job(job)
    visible(repository, principal, found.study_id)
    return job_document(found)


@router.patch("/jobs/{job}", responses=problems(*UNSAFE, "not_found", "illegal_transition", "conflict"))
def change_job(job: RowId, change: JobChange, principal: Submitter, repository: TheRecord) -> JobDocument:
    """Cancel a job; to cancel it again changes nothing."""
    assert change.desired_state == "cancelled"
    found = repository.job(job)
    visible(repository, principal, found.study_id)
    return job_document(repository.cancel_job(found.id))


def _check(job: JobRequest) -> None:
    if job.formats is None:
        return
    if job.kind != "export":
        raise Problem(
            "invalid", "Only an export has formats.", errors=[FieldProblem(pointer="/formats", message="leave it out")]
        )
    known = format_names()
    for place, name in enumerate(job.formats):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            problem = FieldProblem(
                pointer=f"/formats/{place}", message=f"no such format; {hint}known: {', '.join(known)}"
            )
            raise Problem("invalid", "There is no such format.", errors=[problem])


def _check_point(repository: Repository, study: StudyRecord, point: str) -> None:
    """Refuse a digest that no evaluated architecture has; whether the front has a knee, the worker sees later."""
    if point in NAMED_POINTS:
        return
    if not repository.list_evaluations(study.id, filters=(Filter("digest", "^=", point),), limit=1).items:
        raise Problem("point_not_found", "No evaluated architecture of this study has such a digest.")
