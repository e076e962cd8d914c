"""Studies and their stages, from creation to deletion.  Which state follows which is in transitions.py."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from runner.store.checks import check_integer, recordable
from runner.store.errors import (
    ImmutableValue,
    InvalidRecord,
    NotRecorded,
    StaleRevision,
    StaleTransition,
    StudyExists,
)
from runner.store.events import Events, append_event
from runner.store.lookup import find_study, hold_study, not_found, require_devices, require_study
from runner.store.records import StageRecord, StudyRecord
from runner.store.tables import StageRow, StudyRow
from runner.store.transactions import hold
from runner.store.transitions import STAGE_TRANSITIONS, STUDY_TRANSITIONS, check_transition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from runner.store.records import DesiredState, StageState, StudyState

_ASKED_AT_ONCE = 500  # ids in one IN (...)

LOCAL = "local"  # the owner of what is made on this machine without a server


class Studies(Events):
    """Reads and writes studies and stages."""

    def create_study(
        self,
        *,
        name: str,
        spec: str,
        spec_digest: str,
        seed: int,
        device_id: str | None = None,
        stages: Sequence[str] = (),
        owner: str = LOCAL,
        desired_state: DesiredState | None = None,
        study_id: str | None = None,
    ) -> StudyRecord:
        """Record a new study in state `created`, with its stages pending in this order.

        With `desired_state` "running" workers may take it; None is for who runs it in the foreground.  Where a study
        has the id that is given, the call has been made before: that study is returned.
        """
        if not name:
            raise InvalidRecord("a study needs a name")
        check_integer("seed", seed)
        time = self._time()
        record = StudyRecord(
            id=study_id or uuid.uuid4().hex,
            name=name,
            spec=spec,
            spec_digest=spec_digest,
            state="created",
            reason=None,
            seed=seed,
            device_id=device_id,
            created_at=time,
            updated_at=time,
            finished_at=None,
            owner=owner,
            desired_state=desired_state,
            lease_owner=None,
            lease_until=None,
            lease_attempt=0,
            notes="",
            tags=(),
            revision=1,
        )
        with self._writing("create_study") as connection:
            hold(connection, f"study {owner} {name}")
            same = select(StudyRow).where(StudyRow.id == study_id, StudyRow.owner == owner)
            if study_id is not None and (made := connection.execute(same).first()) is not None:
                return StudyRecord(**made._mapping)
            named = select(StudyRow).where(StudyRow.owner == owner, StudyRow.name == name)
            if (taken := connection.execute(named).first()) is not None:
                raise _exists(StudyRecord(**taken._mapping), spec_digest)
            require_devices(connection, () if device_id is None else (device_id,))
            connection.execute(insert(StudyRow).values(**asdict(record)))
            _add_stages(connection, record.id, stages)
            append_event(connection, record.id, "study.created", {"name": name}, time)
        return record

    def study(self, name_or_id_prefix: str, owner: str | None = None) -> StudyRecord:
        """The study of this name, else the only one whose id begins like this; of this owner, or of anyone."""
        with self._reading() as connection:
            return find_study(connection, name_or_id_prefix, owner)

    def studies(self) -> tuple[StudyRecord, ...]:
        """All studies, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(select(StudyRow).order_by(StudyRow.created_at, StudyRow.id))
            return tuple(StudyRecord(**row._mapping) for row in rows)

    def transition_study(
        self, study_id: str, expected: StudyState, new: StudyState, reason: str | None = None
    ) -> StudyRecord:
        """Bring a study from one state to another, if it still is in the first."""
        check_transition("study", STUDY_TRANSITIONS, expected, new)
        time = self._time()
        reason = None if reason is None else recordable(reason)
        finished = time if new in ("complete", "failed") else None
        with self._writing("transition_study") as connection:
            changed = connection.execute(
                update(StudyRow)
                .where(StudyRow.id == study_id, StudyRow.state == expected)
                .values(state=new, reason=reason, updated_at=time, finished_at=finished)
            )
            row = connection.execute(select(StudyRow).where(StudyRow.id == study_id)).first()
            if row is None:
                raise not_found(study_id)
            record = StudyRecord(**row._mapping)
            if changed.rowcount == 0:
                raise _stale(f"the study {record.name!r}", record.state, expected, new)
            append_event(connection, study_id, "study.state", {"from": expected, "to": new, "reason": reason}, time)
        return record

    def set_study_device(self, study_id: str, device_id: str) -> StudyRecord:
        """Say on which device a study runs: once, for its latencies are comparable with no other's."""
        with self._writing("set_study_device") as connection:
            study = hold_study(connection, study_id)
            require_devices(connection, (device_id,))
            if study.device_id not in (None, device_id):
                raise ImmutableValue(
                    f"the study {study.name!r} belongs to the device {study.device_id!r} and is now given "
                    f"{device_id!r}; go on with it there, or create another study here"
                )
            connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(device_id=device_id))
            return replace(study, device_id=device_id)

    def edit_study(
        self,
        study_id: str,
        expected_revision: int,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> StudyRecord:
        """Replace the notes or the tags of a study, or both, if nobody has edited them meanwhile."""
        with self._writing("edit_study") as connection:
            study = hold_study(connection, study_id)
            if study.revision != expected_revision:
                raise StaleRevision(
                    f"notes and tags of the study {study.name!r} were edited meanwhile: this is revision "
                    f"{study.revision}, not {expected_revision}; read them again, then repeat"
                )
            edited = replace(
                study,
                notes=study.notes if notes is None else recordable(notes),
                tags=study.tags if tags is None else tuple(dict.fromkeys(map(recordable, tags))),
                revision=study.revision + 1,
            )
            connection.execute(
                update(StudyRow)
                .where(StudyRow.id == study_id)
                .values(notes=edited.notes, tags=edited.tags, revision=edited.revision)
            )
            append_event(connection, study_id, "study.edited", {"revision": edited.revision}, self._time())
            return edited

    def delete_study(self, study_id: str) -> None:
        """Remove a study and every row about it, no file; a process that still runs it will find it gone."""
        with self._writing("delete_study") as connection:
            hold_study(connection, study_id)
            connection.execute(delete(StudyRow).where(StudyRow.id == study_id))

    def ensure_stages(self, study_id: str, names: Sequence[str]) -> tuple[StageRecord, ...]:
        """Add those of these stages that the study lacks, pending, behind the others; return all of them."""
        with self._writing("ensure_stages") as connection:
            hold_study(connection, study_id)
            _add_stages(connection, study_id, names)
            return _stages(connection, study_id)

    def stages(self, study_id: str) -> tuple[StageRecord, ...]:
        """The stages of a study, in order."""
        with self._reading() as connection:
            require_study(connection, study_id)
            return _stages(connection, study_id)

    def stages_of(self, study_ids: Sequence[str]) -> dict[str, tuple[StageRecord, ...]]:
        """The stages of several studies, in order."""
        found: dict[str, list[StageRecord]] = {study_id: [] for study_id in study_ids}
        wanted = select(StageRow).order_by(StageRow.position)
        with self._reading() as connection:
            for start in range(0, len(study_ids), _ASKED_AT_ONCE):
                some = study_ids[start : start + _ASKED_AT_ONCE]
                for row in connection.execute(wanted.where(StageRow.study_id.in_(some))):
                    found[row.study_id].append(StageRecord(**row._mapping))
        return {study_id: tuple(stages) for study_id, stages in found.items()}

    def transition_stage(
        self,
        study_id: str,
        name: str,
        expected: StageState,
        new: StageState,
        detail: Mapping[str, Any] | None = None,
    ) -> StageRecord:
        """Bring a stage from one state to another, if it still is in the first; `detail` replaces its own."""
        check_transition("stage", STAGE_TRANSITIONS, expected, new)
        time = self._time()
        changes: dict[str, Any] = {
            "state": new,
            "finished_at": time if new in ("complete", "failed") else None,
        }
        if new == "running":
            changes["started_at"] = time
        if detail is not None:
            changes["detail"] = detail
        with self._writing("transition_stage") as connection:
            hold_study(connection, study_id)
            record = _change_stage(connection, study_id, name, expected, changes)
            connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(updated_at=time))
            append_event(connection, study_id, "stage.state", {"stage": name, "from": expected, "to": new}, time)
        return record

    def set_stage_detail(self, study_id: str, name: str, detail: Mapping[str, Any]) -> StageRecord:
        """Replace the detail of a running stage, such as where its last checkpoint lies, without an event."""
        with self._writing("set_stage_detail") as connection:
            hold_study(connection, study_id)
            return _change_stage(connection, study_id, name, "running", {"detail": detail})


def _change_stage(
    connection: Connection, study_id: str, name: str, expected: StageState, changes: Mapping[str, Any]
) -> StageRecord:
    this = (StageRow.study_id == study_id, StageRow.name == name)
    changed = connection.execute(update(StageRow).where(*this, StageRow.state == expected).values(**changes))
    row = connection.execute(select(StageRow).where(*this)).first()
    if row is None:
        known = ", ".join(stage.name for stage in _stages(connection, study_id)) or "none"
        raise NotRecorded(f"the study has no stage {name!r}; its stages: {known}; add one with ensure_stages()")
    record = StageRecord(**row._mapping)
    if changed.rowcount == 0:
        raise _stale(f"the stage {name!r}", record.state, expected, changes.get("state", "another detail"))
    return record


def _add_stages(connection: Connection, study_id: str, names: Sequence[str]) -> None:
    known = set(connection.scalars(select(StageRow.name).where(StageRow.study_id == study_id)))
    last = connection.scalar(select(func.max(StageRow.position)).where(StageRow.study_id == study_id))
    position = 0 if last is None else last + 1
    for name in dict.fromkeys(names):
        if name in known:
            continue
        connection.execute(
            insert(StageRow).values(
                study_id=study_id,
                name=name,
                position=position,
                state="pending",
                detail={},
                started_at=None,
                finished_at=None,
            )
        )
        position += 1


def _stages(connection: Connection, study_id: str) -> tuple[StageRecord, ...]:
    wanted = select(StageRow).where(StageRow.study_id == study_id).order_by(StageRow.position)
    return tuple(StageRecord(**row._mapping) for row in connection.execute(wanted))


def _exists(taken: StudyRecord, spec_digest: str) -> StudyExists:
    same = "the same" if taken.spec_digest == spec_digest else "another"
    return StudyExists(
        f"a study named {taken.name!r} is recorded already ({taken.short_id}, {taken.state}, "
        f"{same} specification); choose another name, go on with it (`supernaut resume {taken.short_id}`) "
        f"or remove it (`supernaut delete {taken.short_id}`)"
    )


def _stale(what: str, found: str, expected: str, new: str) -> StaleTransition:
    return StaleTransition(
        f"{what} is {found!r}, not {expected!r}, so it did not become {new!r}: another process was quicker; "
        "read it again"
    )
