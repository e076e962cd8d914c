"""Finding what a caller names, and saying what there is instead.  It owns these messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from runner.store.errors import AmbiguousId, NotRecorded, StudyNotFound
from runner.store.records import StudyRecord
from runner.store.tables import DeviceRow, StudyRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_LISTED_AT_MOST = 10  # studies in one message
_COMPARED_AT_MOST = 500  # names: more would take longer than an answer may
_HEXADECIMAL = frozenset("0123456789abcdef")


def find_study(connection: Connection, name_or_id_prefix: str, owner: str | None = None) -> StudyRecord:
    """The study of this name, else the only one whose id begins like this; of this owner, or of anyone."""
    its = () if owner is None else (StudyRow.owner == owner,)
    named = connection.execute(select(StudyRow).where(StudyRow.name == name_or_id_prefix, *its)).all()
    if len(named) == 1:
        return StudyRecord(**named[0]._mapping)
    if named:
        listed = _listed(f"{study.id[:12]} (of {study.owner})" for study in sorted(named, key=lambda each: each.owner))
        raise AmbiguousId(f"{len(named)} studies are named {name_or_id_prefix!r}: {listed}; give the id of one of them")
    prefix = name_or_id_prefix.lower()
    if not prefix or not _HEXADECIMAL.issuperset(prefix):
        raise _not_found_among(connection, name_or_id_prefix, owner)
    wanted = select(StudyRow).where(StudyRow.id.startswith(prefix), *its).order_by(StudyRow.id)
    found = [StudyRecord(**row._mapping) for row in connection.execute(wanted)]
    if not found:
        raise _not_found_among(connection, name_or_id_prefix, owner)
    if len(found) > 1:
        listed = _listed(f"{study.id[: max(12, len(prefix) + 4)]} ({study.name})" for study in found)
        raise AmbiguousId(
            f"{len(found)} studies have an id that begins with {name_or_id_prefix!r}: {listed}; "
            "give more characters, or the name"
        )
    return found[0]


def require_study(connection: Connection, study_id: str) -> None:
    """Raise where no study has exactly this id."""
    if connection.scalar(select(StudyRow.id).where(StudyRow.id == study_id)) is None:
        raise not_found(study_id)


def hold_study(connection: Connection, study_id: str) -> StudyRecord:
    """The study with exactly this id; until the transaction ends nobody else changes it or anything about it."""
    wanted = select(StudyRow).where(StudyRow.id == study_id).with_for_update(key_share=True)
    row = connection.execute(wanted).first()
    if row is None:
        raise not_found(study_id)
    return StudyRecord(**row._mapping)


def require_devices(connection: Connection, device_ids: Iterable[str]) -> None:
    """Raise where one of these devices is not recorded."""
    for device_id in sorted(device_ids):
        if connection.scalar(select(DeviceRow.id).where(DeviceRow.id == device_id)) is None:
            raise NotRecorded(f"there is no device {device_id!r}; record it first with ensure_device()")


def not_found(study_id: str) -> StudyNotFound:
    """The error for an id that somebody was given once."""
    return StudyNotFound(f"there is no study {study_id!r}; it may have been deleted")


def _not_found_among(connection: Connection, given: str, owner: str | None) -> StudyNotFound:
    """The error that names those studies of an owner that come nearest, and never anybody else's."""
    its = select(StudyRow.name) if owner is None else select(StudyRow.name).where(StudyRow.owner == owner)
    names = list(connection.scalars(its.order_by(StudyRow.name).limit(_COMPARED_AT_MOST)))
    count = connection.scalar(select(func.count()).select_from(its.subquery())) or 0
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
    return StudyNotFound(f"there is no study {given!r}{hint} Recorded: {_listed(names, count) or 'none yet'}")


def _listed(words: Iterable[str], count: int | None = None) -> str:
    every = list(words)
    rest = (len(every) if count is None else count) - _LISTED_AT_MOST
    return ", ".join(every[:_LISTED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")
