"""The kinds of columns that the tables are made of.  It owns how a value is kept in both databases.

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
    Integer,
    MetaData,
    Text,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

_LARGEST_FLOAT = "1.7976931348623157e308"  # beyond it lie infinity and, in PostgreSQL's order, NaN


def encode_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """The one text of a JSON object or list: keys sorted, no spaces, no NaN."""
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


class Words(TypeDecorator[tuple[str, ...]]):
    """Several words in their order, kept as a canonical JSON list."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else encode_json(list(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[str, ...] | None:
        """From the database."""
        return None if value is None else tuple(json.loads(value))


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
        tuple[str, ...]: Words(),
    }


# SQLite numbers rows by itself only where the type is spelt INTEGER.
ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def one_of(column: str, allowed: Sequence[str]) -> CheckConstraint:
    """A column that holds one of these words."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in allowed)})", name=column)


def finite(column: str) -> CheckConstraint:
    """A column that holds a number, neither NaN nor infinity."""
    return CheckConstraint(f"{column} BETWEEN -{_LARGEST_FLOAT} AND {_LARGEST_FLOAT}", name=f"{column}_finite")


def of_study() -> ForeignKey:
    """What goes with its study."""
    return ForeignKey("study.id", ondelete="CASCADE")
