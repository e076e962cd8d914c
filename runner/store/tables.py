"""The tables of the record (DESIGN.md section 5).  It owns columns and constraints, not how they are used.

Portable between SQLite and PostgreSQL: text with CHECK in place of enumerations, canonical JSON in text (so
that it can be part of a unique constraint), named constraints (so that batch migrations can find them).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from runner.store.records import EVALUATION_STATES, PROVENANCES, STAGE_STATES, STUDY_STATES

_LARGEST_FLOAT = "1.7976931348623157e308"  # beyond it lie infinity and, in PostgreSQL's order, NaN


def encode_json(value: Mapping[str, Any]) -> str:
    """The one text of a JSON object: keys sorted, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class CanonicalJson(TypeDecorator[Mapping[str, Any]]):
    """A JSON object, kept as canonical text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else encode_json(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Mapping[str, Any] | None:
        """From the database."""
        return None if value is None else json.loads(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone, kept in UTC: SQLite forgets the zone, so every moment in it is in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the time {value} has no time zone; give it one, such as datetime.UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Base(DeclarativeBase):
    """The metadata that every table shares."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (the name and the type are SQLAlchemy's)
        str: Text(),
        int: BigInteger(),
        float: Double(),
        datetime: UtcDateTime(),
        Mapping[str, Any]: CanonicalJson(),
    }


# SQLite numbers rows by itself only where the type is spelt INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def _one_of(column: str, allowed: Sequence[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in allowed)})", name=column)


def _finite(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN -{_LARGEST_FLOAT} AND {_LARGEST_FLOAT}", name=f"{column}_finite")


def _of_study() -> ForeignKey:
    return ForeignKey("study.id", ondelete="CASCADE")


class DeviceRow(Base):
    """A machine on which latencies are comparable."""

    __tablename__ = "device"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[Mapping[str, Any]]
    reference_ms: Mapped[float | None]
    created_at: Mapped[datetime]

    __table_args__ = (_finite("reference_ms"),)


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

    __table_args__ = (UniqueConstraint("name"), _one_of("state", STUDY_STATES))


class StageRow(Base):
    """One stage of a study."""

    __tablename__ = "stage"

    study_id: Mapped[str] = mapped_column(_of_study(), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    state: Mapped[str]
    detail: Mapped[Mapping[str, Any]]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("study_id", "position"), _one_of("state", STAGE_STATES))


class EvaluationRow(Base):
    """One architecture measured at one fidelity."""

    __tablename__ = "evaluation"

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    study_id: Mapped[str] = mapped_column(_of_study())
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
        _one_of("state", EVALUATION_STATES),
        CheckConstraint("(state = 'failed') = (failure_kind IS NOT NULL)", name="failure"),
        # A number must not come back after its study was deleted: somebody may still hold it.
        {"sqlite_autoincrement": True},
    )


class ReservationRow(Base):
    """An evaluation that is under way, or that was when its owner died."""

    __tablename__ = "reservation"

    study_id: Mapped[str] = mapped_column(_of_study(), primary_key=True)
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

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluation.id", ondelete="CASCADE"))
    metric: Mapped[str]
    provenance: Mapped[str]
    device_id: Mapped[str | None] = mapped_column(ForeignKey("device.id"))
    value: Mapped[float]
    lower: Mapped[float | None]
    upper: Mapped[float | None]

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
        _one_of("provenance", PROVENANCES),
        _finite("value"),
        _finite("lower"),
        _finite("upper"),
    )


class MeasurementRow(Base):
    """One timing of one architecture on one device."""

    __tablename__ = "measurement"

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    study_id: Mapped[str] = mapped_column(_of_study())
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
        _finite("p90"),
    )


class ArtifactRow(Base):
    """A file that a study made."""

    __tablename__ = "artifact"

    id: Mapped[str] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(_of_study())
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

    study_id: Mapped[str] = mapped_column(_of_study(), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime]
    kind: Mapped[str]
    payload: Mapped[Mapping[str, Any]]
