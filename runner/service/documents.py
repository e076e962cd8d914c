"""From the record to the documents of the API.  Owns what is said of each row, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.service.catalogue_models import DeviceDocument
from runner.service.models import (
    ArtifactDocument,
    Counts,
    EvaluationDocument,
    EventDocument,
    FailureDocument,
    JobDocument,
    Objective,
    PointDocument,
    Progress,
    StageDocument,
    StudyDetail,
    StudyDocument,
    TokenDocument,
    ValueDocument,
)
from runner.service.problems import finite
from runner.service.progress import progress_of
from runner.study import StudySpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.front import Point
    from runner.store import (
        ArtifactRecord,
        DeviceRecord,
        EvaluationRecord,
        EventRecord,
        JobRecord,
        Repository,
        StageRecord,
        StudyRecord,
        TokenRecord,
        ValueRecord,
    )


def values_documents(values: Iterable[ValueRecord]) -> list[ValueDocument]:
    """Some values."""
    return [value_document(value) for value in values]


def spec_or_none(study: StudyRecord) -> StudySpec | None:
    """The specification; None where another version wrote it."""
    try:
        return StudySpec.model_validate_json(study.spec)
    except ValueError:
        return None


def study_fields(
    study: StudyRecord, spec: StudySpec | None, counts: Mapping[str, int], progress: Progress
) -> dict[str, Any]:
    """What a list and a detail say of a study."""
    objectives = None
    if spec is not None:
        none = (None, None)
        objectives = [
            Objective(
                metric=name, goal=goal, at_least=spec.bounds.get(name, none)[0], at_most=spec.bounds.get(name, none)[1]
            )
            for name, goal in spec.goals.items()
        ]
    return {
        "id": study.id,
        "name": study.name,
        "owner": study.owner,
        "state": study.state,
        "desired_state": study.desired_state,
        "reason": study.reason,
        "objectives": objectives,
        "space": None if spec is None else spec.space.name,
        "task": None if spec is None else spec.task.name,
        "counts": Counts(complete=counts.get("complete", 0), failed=counts.get("failed", 0)),
        "progress": progress,
        "seed": study.seed,
        "spec_digest": study.spec_digest,
        "device_id": study.device_id,
        "notes": study.notes,
        "tags": list(study.tags),
        "revision": study.revision,
        "created_at": study.created_at,
        "updated_at": study.updated_at,
        "finished_at": study.finished_at,
        "page": f"/studies/{study.id}",
    }


def study_documents(repository: Repository, studies: Sequence[StudyRecord]) -> list[StudyDocument]:
    """Studies in a list."""
    counts = repository.study_counts([study.id for study in studies])
    specs = {study.id: spec_or_none(study) for study in studies}
    progress = progress_of(repository, studies, specs)
    return [
        StudyDocument(**study_fields(study, specs[study.id], counts[study.id], progress[study.id])) for study in studies
    ]


def study_detail(repository: Repository, study: StudyRecord) -> StudyDetail:
    """A study alone."""
    spec = spec_or_none(study)
    counts = repository.study_counts([study.id])[study.id]
    progress = progress_of(repository, [study], {study.id: spec})[study.id]
    return StudyDetail(**study_fields(study, spec, counts, progress), spec=finite(json.loads(study.spec)))


def stage_document(stage: StageRecord) -> StageDocument:
    """A stage."""
    return StageDocument(
        name=stage.name,
        position=stage.position,
        state=stage.state,
        detail=finite(stage.detail),
        started_at=stage.started_at,
        finished_at=stage.finished_at,
    )


def value_document(value: ValueRecord) -> ValueDocument:
    """A value."""
    return ValueDocument(
        metric=value.metric,
        value=value.value,
        lower=value.lower,
        upper=value.upper,
        provenance=value.provenance,
        device_id=value.device_id,
    )


def evaluation_document(record: EvaluationRecord) -> EvaluationDocument:
    """An evaluation."""
    return EvaluationDocument(
        id=record.id,
        sequence=record.sequence,
        digest=record.digest,
        architecture=json.loads(record.architecture_json),
        fidelity=record.fidelity,
        seed=record.seed,
        origin=record.origin,
        state=record.state,
        values=values_documents(record.values),
        failure=failure_document(record),
        attempt=record.attempt,
        duration_ms=record.duration_ms,
        created_at=record.created_at,
    )


def failure_document(record: EvaluationRecord) -> FailureDocument | None:
    """Why an evaluation failed, if it did."""
    failure = record.failure
    return None if failure is None else FailureDocument(kind=failure.kind, message=failure.message)


def point_document(point: Point) -> PointDocument:
    """A point."""
    return PointDocument(
        digest=point.architecture.digest,
        evaluation_id=point.evaluation_id,
        architecture=dict(point.architecture),
        values=values_documents(point.values.values()),
        later={fidelity: values_documents(values.values()) for fidelity, values in point.later.items()},
    )


def job_document(job: JobRecord) -> JobDocument:
    """A job."""
    return JobDocument(
        id=job.id,
        study_id=job.study_id,
        kind=job.kind,
        payload=finite(job.payload),
        state=job.state,
        reason=job.reason,
        progress=finite(job.progress),
        result=finite(job.result),
        attempt=job.attempt,
        created_at=job.created_at,
        updated_at=job.updated_at,
        finished_at=job.finished_at,
    )


def artifact_document(artifact: ArtifactRecord) -> ArtifactDocument:
    """An artefact, without where it lies."""
    return ArtifactDocument(
        id=artifact.id,
        study_id=artifact.study_id,
        kind=artifact.kind,
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        created_at=artifact.created_at,
    )


def event_document(event: EventRecord) -> EventDocument:
    """An event."""
    return EventDocument(
        number=event.number,
        study_id=event.study_id,
        sequence=event.sequence,
        time=event.time,
        kind=event.kind,
        payload=finite(event.payload),
    )


def device_document(device: DeviceRecord) -> DeviceDocument:
    """A device."""
    return DeviceDocument(
        id=device.id,
        name=device.name,
        description=finite(device.description),
        reference_ms=device.reference_ms,
        created_at=device.created_at,
    )


def token_fields(token: TokenRecord) -> dict[str, Any]:
    """What may be said of a token."""
    return {
        "id": token.id,
        "owner": token.owner,
        "name": token.name,
        "scopes": list(token.scopes),
        "kind": token.kind,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    }


def token_document(token: TokenRecord) -> TokenDocument:
    """A token, without what opens anything."""
    return TokenDocument(**token_fields(token))
