"""Finding what a caller names, and saying what there is instead.  It owns these messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from sqlalchemy import select

from runner.store.errors import AmbiguousId, NotRecorded, StudyNotFound
from runner.store.records import StudyRecord
from runner.store.tables import DeviceRow, StudyRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_LISTED_AT_MOST = 10  # studies in one message
_HEXADECIMAL = frozenset("0123456789abcdef")


def find_study(connection: Connection, name_or_id_prefix: str) -> StudyRecord:
    """The study of this name, else the only one whose id begins like this."""
    named = connection.execute(select(StudyRow).where(StudyRow.name == name_or_id_prefix)).first()
    if named is not None:
        return StudyRecord(**named._mapping)
    prefix = name_or_id_prefix.lower()
    if not prefix or not _HEXADECIMAL.issuperset(prefix):
        raise not_found(connection, name_or_id_prefix)
    wanted = select(StudyRow).where(StudyRow.id.startswith(prefix)).order_by(StudyRow.id)
    found = [StudyRecord(**row._mapping) for row in connection.execute(wanted)]
    if not found:
        raise not_found(connection, name_or_id_prefix)
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
        raise not_found(connection, study_id)


def require_devices(connection: Connection, device_ids: Iterable[str]) -> None:
    """Raise where one of these devices is not recorded."""
    for device_id in sorted(device_ids):
        if connection.scalar(select(DeviceRow.id).where(DeviceRow.id == device_id)) is None:
            raise NotRecorded(f"there is no device {device_id!r}; record it first with ensure_device()")


def not_found(connection: Connection, given: str) -> StudyNotFound:
    """The error that names the studies that come nearest."""
    names = list(connection.scalars(select(StudyRow.name).order_by(StudyRow.name)))
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
    return StudyNotFound(f"there is no study {given!r}{hint} Recorded: {_listed(names) or 'none yet'}")


def _listed(words: Iterable[str]) -> str:
    every = list(words)
    rest = len(every) - _LISTED_AT_MOST
    return ", ".join(every[:_LISTED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")
