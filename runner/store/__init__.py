"""The record of studies.  It owns the database and its rows; nothing of SQLAlchemy leaves it.

`open_repository`, `upgrade` and `Repository` are imported when they are first used, SQLAlchemy with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runner.store.errors import (
    AlreadyEvaluated,
    AmbiguousId,
    BudgetSpent,
    DatabaseTooNew,
    DatabaseTooOld,
    IllegalTransition,
    ImmutableValue,
    InvalidRecord,
    MigrationFailed,
    NotADatabase,
    NotRecorded,
    Reserved,
    StaleAttempt,
    StaleTransition,
    StoreError,
    StoreUnavailable,
    StudyExists,
    StudyNotFound,
)
from runner.store.patience import patiently
from runner.store.records import (
    ArtifactRecord,
    DeviceRecord,
    EvaluationRecord,
    EventRecord,
    Failure,
    MeasurementRecord,
    NewArtifact,
    NewEvaluation,
    NewMeasurement,
    NewReservation,
    Provenance,
    Reservation,
    StageRecord,
    StageState,
    StudyRecord,
    StudyState,
    Upgrade,
    ValueRecord,
)

if TYPE_CHECKING:
    from runner.store.engine import open_repository, upgrade
    from runner.store.repository import Repository

_LAZY = {
    "open_repository": "runner.store.engine",
    "upgrade": "runner.store.engine",
    "Repository": "runner.store.repository",
}

__all__ = [
    "open_repository",
    "upgrade",
    "Repository",
    "patiently",
    "Upgrade",
    "StudyRecord",
    "StudyState",
    "StageRecord",
    "StageState",
    "EventRecord",
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
    "ImmutableValue",
    "IllegalTransition",
    "StaleTransition",
    "AlreadyEvaluated",
    "Reserved",
    "BudgetSpent",
    "StaleAttempt",
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
