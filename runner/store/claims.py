"""Claims of workers on studies.  It owns that a study is run by one worker, and that a late one writes nothing.

A worker claims a study for a while, renews that lease as long as it works, and writes through `fenced(claim)`.  Whose
lease has ended may go on until another worker takes the study; from then on it is refused.  Leases are told by the
clock of the database, so that it does not matter what the workers' own clocks say.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import and_, exists, or_, select, true, update

from runner.store.checks import check_finite
from runner.store.errors import IllegalTransition, InvalidRecord, LeaseLost
from runner.store.events import append_event
from runner.store.lookup import hold_study
from runner.store.records import DESIRED_STATES, JobClaim, StudyClaim, StudyRecord
from runner.store.tables import JobRow, StudyRow
from runner.store.transactions import Transactions, database_time

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from runner.store.records import DesiredState

_CLAIMABLE = ("created", "interrupted", "running")


class Claims(Transactions):
    """Claims, renews and releases studies; says what people want to become of them."""

    def set_desired_state(self, study_id: str, desired: DesiredState, by: str) -> StudyRecord:
        """Ask that a study runs, or that it stops; `by` says who asks.  To ask for the same again changes nothing.

        To run: a failed study becomes `interrupted`, so that a worker takes it.  To stop: one that no worker holds
        becomes `interrupted` at once, else its worker does that when it has heard of it.  Raises IllegalTransition
        for a complete study, and for one that runs in the foreground and is to stop.
        """
        if desired not in DESIRED_STATES:
            raise InvalidRecord(f"a study can be asked to be {' or '.join(DESIRED_STATES)}, not {desired!r}")
        time = self._time()
        with self._writing("set_desired_state") as connection:
            study = hold_study(connection, study_id)
            held = _is_held(study.lease_until, database_time(connection))
            changes = _wanted_changes(study, desired, held=held)
            if study.desired_state != desired:
                changes["desired_state"] = desired
            if not changes:
                return study
            connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(**changes, updated_at=time))
            if study.desired_state != desired:
                told = {"from": study.desired_state, "to": desired, "by": by}
                append_event(connection, study_id, "study.desired", told, time)
            if "state" in changes:
                reason = f"{by} asked that it {'runs' if desired == 'running' else 'stops'}"
                connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(reason=reason))
                told = {"from": study.state, "to": changes["state"], "reason": reason}
                append_event(connection, study_id, "study.state", told, time)
            return hold_study(connection, study_id)

    def claim_study(self, worker_id: str, lease_seconds: float, device_id: str | None = None) -> StudyClaim | None:
        """The oldest study that is to run and that no worker holds, claimed for this one; None where there is none.

        A worker that says on which device it runs gets no study that has begun on another one.
        """
        check_lease(worker_id, lease_seconds)
        with self._reading() as connection:  # who finds nothing, as most do, disturbs nobody who writes
            if connection.scalar(_oldest_claimable(database_time(connection), device_id)) is None:
                return None
        with self._writing("claim_study") as connection:
            passed: list[str] = []
            while True:
                time = database_time(connection)
                oldest = _oldest_claimable(time, device_id).where(StudyRow.id.not_in(passed))
                study_id = connection.scalar(oldest.with_for_update(key_share=True, skip_locked=True))
                if study_id is None:
                    return None
                # Now that the study is held, what was true of it a moment ago is looked at again.
                until = time + timedelta(seconds=lease_seconds)
                changed = connection.execute(
                    update(StudyRow)
                    .where(StudyRow.id == study_id, *_claimable(time))
                    .values(lease_owner=worker_id, lease_until=until, lease_attempt=StudyRow.lease_attempt + 1)
                )
                if changed.rowcount:
                    break
                passed.append(study_id)
            study = hold_study(connection, study_id)
            told = {"worker": worker_id, "attempt": study.lease_attempt}
            append_event(connection, study_id, "study.claimed", told, self._time())
            return StudyClaim(study=study, attempt=study.lease_attempt)

    def renew_study(self, claim: StudyClaim, lease_seconds: float) -> DesiredState | None:
        """Let the lease end in `lease_seconds` from now; return what people want of the study.

        Raises LeaseLost where another attempt has begun, or the study is gone or was taken back.
        """
        check_lease(claim.worker_id, lease_seconds)
        with self._writing("renew_study") as connection:
            study = hold_claimed_study(connection, claim)
            until = database_time(connection) + timedelta(seconds=lease_seconds)
            connection.execute(update(StudyRow).where(StudyRow.id == study.id).values(lease_until=until))
            return study.desired_state

    def release_study(self, claim: StudyClaim) -> bool:
        """Let the study go, so that another worker may take it at once; whether the claim still held."""
        with self._writing("release_study") as connection:
            try:
                study = hold_claimed_study(connection, claim)
            except LeaseLost:
                return False
            connection.execute(
                update(StudyRow).where(StudyRow.id == study.id).values(lease_owner=None, lease_until=None)
            )
            return True

    def fenced(self, claim: StudyClaim | JobClaim) -> Self:
        """The same repository for who has this claim: each writing call raises LeaseLost, and writes nothing,
        once another attempt has begun.  It shares the connections of this one, which closes them."""

        def guard(connection: Connection) -> None:
            if isinstance(claim, StudyClaim):
                hold_claimed_study(connection, claim)
            else:
                hold_claimed_job(connection, claim)

        return type(self)(self._engine, place=self.place, now=self._now, guard=guard)


def hold_claimed_study(connection: Connection, claim: StudyClaim) -> StudyRecord:
    """The study of a claim, held until the transaction ends."""
    this = select(StudyRow).where(StudyRow.id == claim.study.id).with_for_update(key_share=True)
    row = connection.execute(this).first()
    _require_ours(f"the study {claim.study.name!r}", row, None if row is None else row.lease_attempt, claim)
    assert row is not None
    return StudyRecord(**row._mapping)


def hold_claimed_job(connection: Connection, claim: JobClaim) -> Any:
    """The row of a claimed job, held until the transaction ends, its study too."""
    study = select(StudyRow.id).where(StudyRow.id == claim.job.study_id).with_for_update(key_share=True)
    connection.execute(study)
    this = select(JobRow).where(JobRow.id == claim.job.id).with_for_update(key_share=True)
    row = connection.execute(this).first()
    _require_ours(f"the job {claim.job.id!r}", row, None if row is None else row.attempt, claim)
    return row


def is_free(row: type[StudyRow] | type[JobRow], time: datetime) -> ColumnElement[bool]:
    """That nobody's lease runs."""
    return or_(row.lease_until.is_(None), row.lease_until <= time)


def without_busy_job(time: datetime) -> ColumnElement[bool]:
    """That no worker does a job of the study at `time`."""
    busy = select(JobRow.id).where(JobRow.study_id == StudyRow.id, JobRow.lease_until > time)
    return ~exists(busy.correlate(StudyRow))


def check_lease(worker_id: str, lease_seconds: float) -> None:
    """Refuse what is no lease."""
    if not worker_id:
        raise InvalidRecord("a claim needs a worker; name the process that makes it")
    check_finite("lease_seconds", lease_seconds)
    if lease_seconds <= 0:
        raise InvalidRecord(f"lease_seconds is {lease_seconds}; a lease is longer than 0 s")


def _claimable(time: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        and_(StudyRow.desired_state == "running", StudyRow.state.in_(_CLAIMABLE)),
        is_free(StudyRow, time),
        without_busy_job(time),
    )


def fits(device_id: str | None) -> ColumnElement[bool]:
    """That a study can be worked on, on this device."""
    return true() if device_id is None else or_(StudyRow.device_id.is_(None), StudyRow.device_id == device_id)


def _oldest_claimable(time: datetime, device_id: str | None) -> Any:
    return (
        select(StudyRow.id)
        .where(*_claimable(time), fits(device_id))
        .order_by(StudyRow.created_at, StudyRow.id)
        .limit(1)
    )


def _require_ours(what: str, row: Any | None, attempt: int | None, claim: StudyClaim | JobClaim) -> None:
    if row is None:
        raise LeaseLost(f"{what} is gone: it was deleted; stop working on it")
    if attempt != claim.attempt or row.lease_owner != claim.worker_id:
        raise LeaseLost(
            f"{what} was attempt {claim.attempt} of {claim.worker_id} and is now attempt {attempt} of "
            f"{row.lease_owner or 'nobody'}; nothing was written: stop working on it"
        )


def _is_held(lease_until: datetime | None, time: datetime) -> bool:
    return lease_until is not None and time < lease_until


def _wanted_changes(study: StudyRecord, desired: DesiredState, *, held: bool) -> dict[str, Any]:
    """What else changes in the row of a study when people want this of it."""
    if study.state == "complete":
        raise IllegalTransition(f"the study {study.name!r} is complete, so it cannot be {desired}; create another one")
    if desired == "running":
        return {"state": "interrupted", "finished_at": None} if study.state == "failed" else {}
    if study.state == "running" and study.desired_state is None:
        raise IllegalTransition(
            f"the study {study.name!r} runs in the foreground of a terminal: press Ctrl-C there; if that process is "
            "dead, ask that the study runs, and a worker goes on with it"
        )
    if held or study.state not in ("created", "running"):
        return {}
    # Its last worker is dead or has let it go; should that one come back, it finds its claim taken away.
    return {"state": "interrupted", "lease_owner": None, "lease_until": None}
