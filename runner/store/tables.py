"""The tables of the record (DESIGN.md section 5).  It owns columns and constraints, not how they are used."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from runner.store.columns import ROW_NUMBER, Base, finite, of_study, one_of
from runner.store.records import (
    DESIRED_STATES,
    EVALUATION_STATES,
    JOB_KINDS,
    JOB_STATES,
    PROVENANCES,
    STAGE_STATES,
    STUDY_STATES,
    TOKEN_KINDS,
)


class DeviceRow(Base):
    """A machine on which latencies are comparable."""

    __tablename__ = "device"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[Mapping[str, Any]]
    reference_ms: Mapped[float | None]
    created_at: Mapped[datetime]

    __table_args__ = (finite("reference_ms"),)


class StudyRow(Base):
    """One study."""

    __tablename__ = "study"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    spec: Mapped[str]
    spec_digest: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    seed: Mapped[int]
    device_id: Mapped[str | None] = mapped_column(ForeignKey("device.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    owner: Mapped[str] = mapped_column(server_default="local")
    desired_state: Mapped[str | None]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    lease_attempt: Mapped[int] = mapped_column(server_default=text("0"))
    notes: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[tuple[str, ...]] = mapped_column(server_default="[]")
    revision: Mapped[int] = mapped_column(server_default=text("1"))

    __table_args__ = (
        UniqueConstraint("owner", "name"),
        one_of("state", STUDY_STATES),
        one_of("desired_state", DESIRED_STATES),
        CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease"),
        Index(None, "desired_state", "state"),  # what a worker looks for
        # Pages in these orders begin in the middle of an index; the first one finds a name whoever the owner is.
        Index(None, "name", "id"),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
    )


class StageRow(Base):
    """One stage of a study."""

    __tablename__ = "stage"

    study_id: Mapped[str] = mapped_column(of_study(), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    state: Mapped[str]
    detail: Mapped[Mapping[str, Any]]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("study_id", "position"), one_of("state", STAGE_STATES))


class EvaluationRow(Base):
    """One architecture measured at one fidelity."""

    __tablename__ = "evaluation"

    id: Mapped[int] = mapped_column(ROW_NUMBER, primary_key=True)
    study_id: Mapped[str] = mapped_column(of_study())
    sequence: Mapped[int]
    digest: Mapped[str]
    architecture_json: Mapped[str]
    fidelity: Mapped[str]
    seed: Mapped[int]
    origin: Mapped[str]
    state: Mapped[str]
    failure_kind: Mapped[str | None]
    failure_message: Mapped[str | None]
    attempt: Mapped[int]
    duration_ms: Mapped[float | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("study_id", "digest", "fidelity", "seed"),
        UniqueConstraint("study_id", "sequence"),
        # Pages in these orders begin in the middle of an index in place of sorting a study.
        Index(None, "study_id", "state", "sequence"),
        Index(None, "study_id", "fidelity", "sequence"),
        Index(None, "study_id", "origin", "sequence"),
        Index(None, "study_id", "created_at", "sequence"),
        one_of("state", EVALUATION_STATES),
        CheckConstraint("(state = 'failed') = (failure_kind IS NOT NULL)", name="failure"),
        # A number must not come back after its study was deleted: somebody may still hold it.
        {"sqlite_autoincrement": True},
    )


class ReservationRow(Base):
    """An evaluation that is under way, or that was when its owner died."""

    __tablename__ = "reservation"

    study_id: Mapped[str] = mapped_column(of_study(), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    fidelity: Mapped[str] = mapped_column(primary_key=True)
    seed: Mapped[int] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    architecture_json: Mapped[str]
    origin: Mapped[str]
    attempt: Mapped[int]
    owner: Mapped[str]
    until: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("study_id", "sequence"),
        CheckConstraint("attempt >= 1", name="attempt"),
    )


class ValueRow(Base):
    """One number about one evaluation."""

    __tablename__ = "value"

    id: Mapped[int] = mapped_column(ROW_NUMBER, primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluation.id", ondelete="CASCADE"))
    metric: Mapped[str]
    provenance: Mapped[str]
    device_id: Mapped[str | None] = mapped_column(ForeignKey("device.id"))
    value: Mapped[float]
    lower: Mapped[float | None]
    upper: Mapped[float | None]
    study_id: Mapped[str] = mapped_column(of_study())  # its evaluation's, so that one index finds a study's values
    best: Mapped[bool]  # of its evaluation's values of this metric the one that counts; see records.PRECEDENCE

    __table_args__ = (
        UniqueConstraint("evaluation_id", "metric", "provenance", "device_id"),
        # In a unique constraint two absent devices count as different; this index sees them as the same.
        Index(
            "uq_value_without_device",
            "evaluation_id",
            "metric",
            "provenance",
            unique=True,
            sqlite_where=text("device_id IS NULL"),
            postgresql_where=text("device_id IS NULL"),
        ),
        Index(
            "uq_value_best",
            "evaluation_id",
            "metric",
            unique=True,
            sqlite_where=text("best = 1"),
            postgresql_where=text("best"),
        ),
        Index(
            "ix_value_page",
            "study_id",
            "metric",
            "value",
            "evaluation_id",
            "provenance",  # so that whoever reads a metric of all evaluations need not look at the rows
            sqlite_where=text("best = 1"),
            postgresql_where=text("best"),
        ),
        one_of("provenance", PROVENANCES),
        finite("value"),
        finite("lower"),
        finite("upper"),
    )


class MeasurementRow(Base):
    """One timing of one architecture on one device."""

    __tablename__ = "measurement"

    id: Mapped[int] = mapped_column(ROW_NUMBER, primary_key=True)
    study_id: Mapped[str] = mapped_column(of_study())
    digest: Mapped[str]
    device_id: Mapped[str] = mapped_column(ForeignKey("device.id"))
    runtime: Mapped[str]
    metric: Mapped[str]
    settings: Mapped[Mapping[str, Any]]
    p10: Mapped[float]
    p50: Mapped[float]
    p90: Mapped[float]
    repeats: Mapped[int]
    reference_p50: Mapped[float | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        # The usual name would be longer than the 63 characters that PostgreSQL keeps.
        UniqueConstraint("study_id", "digest", "device_id", "runtime", "metric", "settings", name="uq_measurement_key"),
        CheckConstraint("0 <= p10 AND p10 <= p50 AND p50 <= p90", name="percentiles"),
        finite("p90"),
    )


class ArtifactRow(Base):
    """A file that a study made."""

    __tablename__ = "artifact"

    id: Mapped[str] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(of_study())
    sha256: Mapped[str]
    kind: Mapped[str]
    bytes: Mapped[int]
    uri: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("study_id", "kind", "sha256", "uri"),
        CheckConstraint("bytes >= 0", name="bytes"),
    )


class EventRow(Base):
    """Something that happened to a study."""

    __tablename__ = "event"

    study_id: Mapped[str] = mapped_column(of_study(), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime]
    kind: Mapped[str]
    payload: Mapped[Mapping[str, Any]]
    number: Mapped[int]  # counts the events of all studies in the order of their commits, see CounterRow

    __table_args__ = (UniqueConstraint("number"),)


class CounterRow(Base):
    """The last number that was given to something.  Whoever gives the next one holds the row until the commit."""

    __tablename__ = "counter"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]


class JobRow(Base):
    """Something to be done with a study besides running it."""

    __tablename__ = "job"

    id: Mapped[str] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(of_study())
    kind: Mapped[str]
    payload: Mapped[Mapping[str, Any]]
    state: Mapped[str]
    reason: Mapped[str | None]
    progress: Mapped[Mapping[str, Any] | None]
    result: Mapped[Mapping[str, Any] | None]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("kind", JOB_KINDS),
        one_of("state", JOB_STATES),
        CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease"),
        Index(None, "study_id", "created_at"),
        Index(None, "state", "created_at"),  # what a worker looks for
    )


class WorkerRow(Base):
    """A process that works on studies and jobs, or that did."""

    __tablename__ = "worker"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    study_id: Mapped[str | None] = mapped_column(ForeignKey("study.id", ondelete="SET NULL"))
    stopped_at: Mapped[datetime | None]


class TokenRow(Base):
    """What opens the API to somebody; of its secret only the digest is kept."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    scopes: Mapped[tuple[str, ...]]
    kind: Mapped[str]
    secret_sha256: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (one_of("kind", TOKEN_KINDS), Index(None, "owner", "created_at"))


class IdempotencyRow(Base):
    """What was answered to a request that may come again."""

    __tablename__ = "idempotency"

    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str]
    status: Mapped[int | None]  # None: it is still being answered
    response: Mapped[Mapping[str, Any] | None]
    created_at: Mapped[datetime]

    __table_args__ = (Index(None, "created_at"),)
