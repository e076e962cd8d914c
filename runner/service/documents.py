"""From the record to the documents of the API.  Owns what is said of each row, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.service.models import (
    ArtifactDocument,
    Counts,
    DeviceDocument,
    EvaluationDocument,
    EventDocument,
    FailureDocument,
    JobDocument,
    Objective,
    PointDocument,
    StageDocument,
    StudyDetail,
    StudyDocument,
    TokenDocument,
    ValueDocument,
)
from runner.service.problems import finite
from runner.study import StudySpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.front import Point
    from runner.store import (
        ArtifactRecord,
        DeviceRecord,
        EvaluationRecord,
        EventRecord,
        JobRecord,
        StageRecord,
        StudyRecord,
        TokenRecord,
        ValueRecord,
    )


def values_documents(values: Iterable[ValueRecord]) -> list[ValueDocument]:
    """Some values."""
    return [value_document(value) for value in values]


def study_fields(study: StudyRecord, counts: Mapping[str, int]) -> dict[str, Any]:
    """What a list and a detail say of a study."""
    try:
        spec = StudySpec.model_validate_json(study.spec)
    except ValueError:
        spec = None
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
        "counts": Counts(complete=counts.get("complete", 0), failed=counts.get("failed", 0)),
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


def study_document(study: StudyRecord, counts: Mapping[str, int]) -> StudyDocument:
    """A study in a list."""
    return StudyDocument(**study_fields(study, counts))


def study_detail(study: StudyRecord, counts: Mapping[str, int]) -> StudyDetail:
    """A study alone."""
    return StudyDetail(**study_fields(study, counts), spec=finite(json.loads(study.spec)))


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
