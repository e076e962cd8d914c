"""What a study found: evaluations, front, columns, hypervolume, single architectures."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from runner.front import best_values
from runner.insight.neighbours import nearest
from runner.service.columns import Table
from runner.service.cursors import query_digest, read_cursor, write_cursor
from runner.service.documents import evaluation_document, failure_document, point_document, values_documents
from runner.service.filters import read_filter, read_sort
from runner.service.fronts import SHOWN_OTHERS, packed, spec_of
from runner.service.limits import MAX_METRICS, MAX_NAME, MAX_QUERY
from runner.service.models import (
    ArchitectureDocument,
    ChangedChoice,
    ColumnsDocument,
    CourseDocument,
    EvaluationDocument,
    FidelityNumbers,
    FrontDocument,
    Neighbour,
    Paged,
    PlaceDocument,
)
from runner.service.problems import Problem
from runner.service.routes.common import (
    LIMIT,
    PAGE,
    STUDY,
    Cursor,
    Limit,
    Reader,
    StudyId,
    TheRecord,
    TheService,
    find_study,
    problems,
)
from runner.store.queries import Filter
from search_spaces import Architecture
from supernet.export.card import answers_by_place, architecture_lines

if TYPE_CHECKING:
    from runner.front import Front
    from runner.service.routes.common import Service
    from runner.store import EvaluationRecord, Repository, StudyRecord

router = APIRouter(tags=["results"])

LARGEST_ID = 2**63 - 1
_NEIGHBOURS = 8
_RECORDS_OF_ONE = 500  # architecture: fidelities and seeds

Digest = Annotated[
    str,
    Path(pattern=r"^(knee|[0-9a-f]{4,64})$", description="The digest, a beginning of it that no other has, or knee."),
]


@router.get("/studies/{study}/evaluations", responses=problems(*STUDY, *PAGE, "bad_filter", "bad_sort"))
def list_evaluations(
    study: StudyId,
    principal: Reader,
    repository: TheRecord,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
    filter: Annotated[
        str | None, Query(max_length=MAX_QUERY, description="Such as: error<=0.05 and state=complete")
    ] = None,
    sort: Annotated[str, Query(max_length=MAX_NAME + 1, description="Such as -latency_ms")] = "sequence",
) -> Paged[EvaluationDocument]:
    """The evaluations of a study, page by page."""
    found = find_study(repository, principal, study)
    metrics = repository.metrics(found.id)
    filters, order = read_filter(filter, metrics), read_sort(sort, metrics)
    query = query_digest(what="evaluations", study=found.id, filter=filter, sort=sort)
    page = repository.list_evaluations(
        found.id, filters=filters, sort=order, limit=limit, after=read_cursor(query, cursor)
    )
    return Paged(
        items=[evaluation_document(record) for record in page.items], next_cursor=write_cursor(query, page.next)
    )


@router.get("/studies/{study}/front", responses=problems(*STUDY, "no_front"))
def get_front(
    study: StudyId,
    principal: Reader,
    service: TheService,
    repository: TheRecord,
    others: Annotated[
        int, Query(ge=0, le=SHOWN_OTHERS, description="At most so many points off the front.")
    ] = SHOWN_OTHERS,
) -> FrontDocument:
    """The front of a study, each number with its provenance."""
    found = find_study(repository, principal, study)
    picture = service.fronts.picture(repository, found)
    front = service.fronts.with_others(repository, found) if others else picture.front
    later = [point for point in front.others if point.later]
    rest = [point for point in front.others if not point.later]
    shown = [*later, *reversed(rest)][:others]
    return FrontDocument(
        study_id=found.id,
        goals=spec_of(found).goals,
        evaluated=picture.evaluated,
        points=[point_document(point) for point in front.points],
        others=[point_document(point) for point in shown],
        left_out=picture.evaluated - len(front.points) - len(shown),
        knee=None if front.knee is None else front.knee.architecture.digest,
        ends={metric: point.architecture.digest for metric, point in zip(front.goals, front.ends, strict=False)},
    )


@router.get("/studies/{study}/hypervolume", responses=problems(*STUDY, "no_front"))
def get_hypervolume(study: StudyId, principal: Reader, service: TheService, repository: TheRecord) -> CourseDocument:
    """How the hypervolume of the front grew from evaluation to evaluation, in at most 100 steps."""
    course = service.fronts.course(repository, find_study(repository, principal, study))
    return CourseDocument(
        metrics=list(course.metrics),
        reference=list(course.reference),
        evaluations=list(course.evaluations),
        times=list(course.times),
        hypervolume=list(course.volumes),
    )


@router.get(
    "/studies/{study}/columns",
    response_model=ColumnsDocument,
    responses=problems(*STUDY, "bad_request", "no_front"),
)
def get_columns(
    request: Request,
    study: StudyId,
    principal: Reader,
    service: TheService,
    repository: TheRecord,
    metrics: Annotated[
        str | None,
        Query(max_length=MAX_QUERY, description="Names with commas between them; default: the objectives."),
    ] = None,
    choices: Annotated[
        str | None, Query(max_length=MAX_QUERY, description="Names of choices with commas between them.")
    ] = None,
    after: Annotated[
        int, Query(ge=0, le=LARGEST_ID, description="Only evaluations with a larger id, however many there were.")
    ] = 0,
) -> Response:
    """All evaluations as columns, for charts."""
    found = find_study(repository, principal, study)
    wanted = tuple(spec_of(found).goals) if metrics is None else _names(metrics, "metrics")
    chosen = () if choices is None else _names(choices, "choices")
    if after > 0:
        content = packed(Table.read(repository, found.id, wanted, after).text(repository, wanted, chosen))
    else:
        content = service.fronts.columns(repository, found, wanted, chosen)
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(content, media_type="application/json", headers=headers)
    return Response(gzip.decompress(content), media_type="application/json", headers=headers)


@router.get(
    "/studies/{study}/architectures/{digest}",
    responses=problems(*STUDY, "point_not_found", "no_front", "bad_request"),
)
def get_architecture(
    study: StudyId, digest: Digest, principal: Reader, service: TheService, repository: TheRecord
) -> ArchitectureDocument:
    """One architecture, layer by layer, with every number and its provenance."""
    found = find_study(repository, principal, study)
    if digest == "knee":
        digest = knee_of(service.fronts.picture(repository, found).front)
    records = _evaluations_of(repository, found, digest)
    architecture = Architecture.from_json(records[0].architecture_json)
    front = _front_or_none(service, repository, found)
    knee = front.knee.architecture.digest if front is not None and front.knee is not None else None
    return ArchitectureDocument(
        digest=architecture.digest,
        architecture=dict(architecture),
        places=[
            PlaceDocument(place=list(place), answers=answers)
            for place, answers in sorted(answers_by_place(architecture).items())
        ],
        lines=architecture_lines(architecture),
        on_front=front is not None and any(point.architecture == architecture for point in front.points),
        knee=architecture.digest == knee,
        numbers=[
            FidelityNumbers(
                fidelity=record.fidelity,
                state=record.state,
                failure=failure_document(record),
                values=values_documents(best_values(record.values).values()),
            )
            for record in records
        ],
        neighbours=[] if front is None else _neighbours(architecture, front),
    )


def knee_of(front: Front) -> str:
    """The digest of the knee.  Raises `Problem`."""
    if front.knee is None:
        raise Problem("point_not_found", "The front is empty, so it has no knee.")
    return front.knee.architecture.digest


def _neighbours(architecture: Architecture, front: Front) -> list[Neighbour]:
    others = [point.architecture for point in front.points]
    return [
        Neighbour(
            digest=other.digest,
            differences=len(found),
            changed=[ChangedChoice(choice=each.choice, here=each.here, there=each.there) for each in found],
        )
        for other, found in nearest(architecture, others, _NEIGHBOURS)
    ]


def _evaluations_of(repository: Repository, study: StudyRecord, prefix: str) -> tuple[EvaluationRecord, ...]:
    """What was recorded of the one architecture whose digest begins like this.  Raises `Problem`."""
    page = repository.list_evaluations(study.id, filters=(Filter("digest", "^=", prefix),), limit=_RECORDS_OF_ONE)
    digests = {record.digest for record in page.items}
    if not digests:
        raise Problem("point_not_found", "No evaluated architecture of this study has such a digest.")
    if len(digests) > 1:
        raise Problem("bad_request", "Several architectures begin like this; give more digits.")
    return page.items


def _front_or_none(service: Service, repository: Repository, study: StudyRecord) -> Front | None:
    try:
        return service.fronts.picture(repository, study).front
    except Problem:
        return None


def _names(text: str, what: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or len(names) > MAX_METRICS or any(len(name) > MAX_NAME or "\x00" in name for name in names):
        raise Problem("bad_request", f"Name 1 to {MAX_METRICS} {what} with commas between them.")
    return names
