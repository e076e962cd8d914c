"""The record of studies.  It owns the database and its rows; nothing of SQLAlchemy leaves it.

`open_repository`, `upgrade`, `Repository` and `Blobs` are imported when they are first used, SQLAlchemy with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runner.store.errors import (
    AlreadyEvaluated,
    AmbiguousId,
    BudgetSpent,
    DamagedBlob,
    DatabaseTooNew,
    DatabaseTooOld,
    IdempotencyBusy,
    IdempotencyMismatch,
    IllegalTransition,
    ImmutableValue,
    InvalidQuery,
    InvalidRecord,
    LeaseLost,
    MigrationFailed,
    NotADatabase,
    NotRecorded,
    RecordExists,
    Reserved,
    StaleAttempt,
    StaleRevision,
    StaleTransition,
    StoreError,
    StoreUnavailable,
    StudyExists,
    StudyNotFound,
)
from runner.store.patience import patiently
from runner.store.queries import Columns, Cursor, Filter, MetricColumn, Page
from runner.store.records import (
    ArtifactRecord,
    DesiredState,
    DeviceRecord,
    EvaluationRecord,
    EventRecord,
    Failure,
    JobClaim,
    JobKind,
    JobRecord,
    JobState,
    MeasurementRecord,
    NewArtifact,
    NewEvaluation,
    NewMeasurement,
    NewReservation,
    Provenance,
    Reservation,
    Scope,
    StageRecord,
    StageState,
    StudyClaim,
    StudyRecord,
    StudyState,
    TokenKind,
    TokenRecord,
    Upgrade,
    ValueRecord,
    WorkerRecord,
)

if TYPE_CHECKING:
    from runner.store.blobs import Blobs
    from runner.store.engine import open_repository, upgrade
    from runner.store.repository import Repository

_LAZY = {
    "open_repository": "runner.store.engine",
    "upgrade": "runner.store.engine",
    "Repository": "runner.store.repository",
    "Blobs": "runner.store.blobs",
}

__all__ = [
    "open_repository",
    "upgrade",
    "Repository",
    "Blobs",
    "patiently",
    "Upgrade",
    "StudyRecord",
    "StudyState",
    "DesiredState",
    "StudyClaim",
    "StageRecord",
    "StageState",
    "EventRecord",
    "JobRecord",
    "JobKind",
    "JobState",
    "JobClaim",
    "WorkerRecord",
    "TokenRecord",
    "TokenKind",
    "Scope",
    "Page",
    "Cursor",
    "Filter",
    "Columns",
    "MetricColumn",
    "NewEvaluation",
    "EvaluationRecord",
    "Failure",
    "ValueRecord",
    "Provenance",
    "NewReservation",
    "Reservation",
    "NewMeasurement",
    "MeasurementRecord",
    "DeviceRecord",
    "NewArtifact",
    "ArtifactRecord",
    "StoreError",
    "NotRecorded",
    "StudyNotFound",
    "StudyExists",
    "AmbiguousId",
    "InvalidRecord",
    "InvalidQuery",
    "ImmutableValue",
    "IllegalTransition",
    "StaleTransition",
    "AlreadyEvaluated",
    "Reserved",
    "BudgetSpent",
    "StaleAttempt",
    "StaleRevision",
    "LeaseLost",
    "IdempotencyMismatch",
    "IdempotencyBusy",
    "DamagedBlob",
    "RecordExists",
    "NotADatabase",
    "DatabaseTooNew",
    "DatabaseTooOld",
    "MigrationFailed",
    "StoreUnavailable",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
