"""Jobs: what is to be done with a study besides running it.  It owns that each is done once, by one worker at a time.

A job is never done while its study runs, nor two of one study at once: they work in the same folder.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, insert, or_, select, update

from runner.store.checks import recordable
from runner.store.claims import Claims, check_lease, fits, hold_claimed_job, is_free, without_busy_job
from runner.store.errors import IllegalTransition, InvalidRecord, LeaseLost, NotRecorded
from runner.store.events import append_event
from runner.store.lookup import hold_study, require_study
from runner.store.records import JOB_KINDS, JobClaim, JobRecord
from runner.store.tables import JobRow, StudyRow
from runner.store.transactions import database_time
from runner.store.transitions import JOB_TRANSITIONS, check_transition

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from runner.store.records import JobKind, JobState

_ENDED: tuple[JobState, ...] = ("complete", "failed", "cancelled")
_FREE = {"lease_owner": None, "lease_until": None}


class Jobs(Claims):
    """Reads and writes jobs."""

    def create_job(
        self, study_id: str, kind: JobKind, payload: Mapping[str, Any], *, job_id: str | None = None
    ) -> JobRecord:
        """Queue a job.  Where the study has a job of the id that is given, the call has been made before."""
        if kind not in JOB_KINDS:
            raise InvalidRecord(f"there is no job {kind!r}; allowed: {', '.join(JOB_KINDS)}")
        time = self._time()
        record = JobRecord(
            id=job_id or uuid.uuid4().hex,
            study_id=study_id,
            kind=kind,
            payload=payload,
            state="queued",
            reason=None,
            progress=None,
            result=None,
            lease_owner=None,
            lease_until=None,
            attempt=0,
            created_at=time,
            updated_at=time,
            finished_at=None,
        )
        with self._writing("create_job") as connection:
            hold_study(connection, study_id)
            same = select(JobRow).where(JobRow.id == job_id, JobRow.study_id == study_id)
            if job_id is not None and (made := connection.execute(same).first()) is not None:
                return JobRecord(**made._mapping)
            connection.execute(insert(JobRow).values(**asdict(record)))
            _tell(connection, record, None, "queued", None, time)
        return record

    def job(self, job_id: str) -> JobRecord:
        """The job with this id, of whichever study."""
        with self._reading() as connection:
            return _load(connection, job_id)

    def jobs(self, study_id: str) -> tuple[JobRecord, ...]:
        """The jobs of a study, the oldest first."""
        wanted = select(JobRow).where(JobRow.study_id == study_id).order_by(JobRow.created_at, JobRow.id)
        with self._reading() as connection:
            require_study(connection, study_id)
            return tuple(JobRecord(**row._mapping) for row in connection.execute(wanted))

    def cancel_job(self, job_id: str) -> JobRecord:
        """Cancel a job; a worker that does it hears of that when it renews its lease.

        Raises IllegalTransition where it is complete or has failed; to cancel it again changes nothing.
        """
        time = self._time()
        with self._writing("cancel_job") as connection:
            job = _hold(connection, job_id)
            if job.state == "cancelled":
                return job
            check_transition("job", JOB_TRANSITIONS, job.state, "cancelled")
            # The lease stays: until the worker has let go, nobody else works in the folder of the study.
            return _change(connection, job, "cancelled", None, time, {"finished_at": time})

    def claim_job(self, worker_id: str, lease_seconds: float, device_id: str | None = None) -> JobClaim | None:
        """The oldest job that waits, or whose worker died, of a study that nobody works on, else None.

        A worker that says on which device it runs gets no job of a study of another one.
        """
        check_lease(worker_id, lease_seconds)
        with self._reading() as connection:  # who finds nothing, as most do, disturbs nobody who writes
            if connection.execute(_oldest_claimable(database_time(connection), [], device_id)).first() is None:
                return None
        with self._writing("claim_job") as connection:
            passed: list[str] = []
            while True:
                time = database_time(connection)
                found = connection.execute(_oldest_claimable(time, passed, device_id)).first()
                if found is None:
                    return None
                passed.append(found.id)
                # The study first, as everybody does, and only if nobody else has it; then all is looked at again.
                study = select(StudyRow.id).where(StudyRow.id == found.study_id)
                if connection.scalar(study.with_for_update(key_share=True, skip_locked=True)) is None:
                    continue
                time = database_time(connection)
                until = time + timedelta(seconds=lease_seconds)
                changed = connection.execute(
                    update(JobRow)
                    .where(JobRow.id == found.id, *_claimable(time))
                    .values(lease_owner=worker_id, lease_until=until, attempt=JobRow.attempt + 1)
                )
                if changed.rowcount:
                    break
            moment = self._time()
            job = _load(connection, found.id)
            if job.state == "running":
                job = _change(connection, job, "queued", "its worker is not heard of any more", moment, {})
            job = _change(connection, job, "running", None, moment, {})
            return JobClaim(job=job, attempt=job.attempt)

    def renew_job(self, claim: JobClaim, lease_seconds: float) -> JobState:
        """Let the lease end in `lease_seconds` from now; return the state, `cancelled` where the worker is to stop.

        Raises LeaseLost where another attempt has begun or the job is gone.
        """
        check_lease(claim.worker_id, lease_seconds)
        with self._writing("renew_job") as connection:
            job = JobRecord(**hold_claimed_job(connection, claim)._mapping)
            until = database_time(connection) + timedelta(seconds=lease_seconds)
            connection.execute(update(JobRow).where(JobRow.id == job.id).values(lease_until=until))
            return job.state

    def release_job(self, claim: JobClaim) -> bool:
        """Let a job go: one that runs is queued again; whether the claim still held."""
        with self._writing("release_job") as connection:
            try:
                job = JobRecord(**hold_claimed_job(connection, claim)._mapping)
            except LeaseLost:
                return False
            if job.state == "running":
                _change(connection, job, "queued", "its worker let it go", self._time(), _FREE)
            else:
                connection.execute(update(JobRow).where(JobRow.id == job.id).values(**_FREE))
            return True

    def set_job_progress(self, claim: JobClaim, progress: Mapping[str, Any]) -> None:
        """Say how far a job is, without an event.  Raises LeaseLost."""
        with self._writing("set_job_progress") as connection:
            hold_claimed_job(connection, claim)
            connection.execute(
                update(JobRow).where(JobRow.id == claim.job.id).values(progress=progress, updated_at=self._time())
            )

    def finish_job(
        self, claim: JobClaim, state: JobState, reason: str | None = None, result: Mapping[str, Any] | None = None
    ) -> JobRecord:
        """Say how a job ended and let it go; one that was cancelled meanwhile stays cancelled.  Raises LeaseLost."""
        if state not in _ENDED:
            raise IllegalTransition(f"a job ends as {', '.join(_ENDED)}, not as {state!r}")
        with self._writing("finish_job") as connection:
            job = JobRecord(**hold_claimed_job(connection, claim)._mapping)
            if job.state == "cancelled":
                connection.execute(update(JobRow).where(JobRow.id == job.id).values(**_FREE))
                return _load(connection, job.id)
            check_transition("job", JOB_TRANSITIONS, job.state, state)
            time = self._time()
            changes = {"finished_at": time, "result": result, **_FREE}
            return _change(connection, job, state, None if reason is None else recordable(reason), time, changes)


def _claimable(time: datetime) -> tuple[ColumnElement[bool], ...]:
    """Of a row of job: nobody does it, and nobody works on its study."""
    study = select(StudyRow.id).where(StudyRow.id == JobRow.study_id, is_free(StudyRow, time), without_busy_job(time))
    waits = or_(JobRow.state == "queued", JobRow.state == "running")
    return (waits, is_free(JobRow, time), exists(study.correlate(JobRow)))


def _oldest_claimable(time: datetime, passed: list[str], device_id: str | None) -> Any:
    of_device = select(StudyRow.id).where(StudyRow.id == JobRow.study_id, fits(device_id)).correlate(JobRow)
    wanted = select(JobRow.id, JobRow.study_id).where(*_claimable(time), JobRow.id.not_in(passed), exists(of_device))
    return wanted.order_by(JobRow.created_at, JobRow.id).limit(1)


def _load(connection: Connection, job_id: str) -> JobRecord:
    row = connection.execute(select(JobRow).where(JobRow.id == job_id)).first()
    if row is None:
        raise NotRecorded(f"there is no job {job_id!r}; its study may have been deleted")
    return JobRecord(**row._mapping)


def _hold(connection: Connection, job_id: str) -> JobRecord:
    """The job; until the transaction ends nobody else changes it or its study."""
    hold_study(connection, _load(connection, job_id).study_id)
    return _load(connection, job_id)


def _change(
    connection: Connection,
    job: JobRecord,
    new: JobState,
    reason: str | None,
    time: datetime,
    changes: Mapping[str, Any],
) -> JobRecord:
    """Make a transition of a job that is held, with its event."""
    connection.execute(
        update(JobRow).where(JobRow.id == job.id).values(state=new, reason=reason, updated_at=time, **changes)
    )
    _tell(connection, job, job.state, new, reason, time)
    return _load(connection, job.id)


def _tell(
    connection: Connection, job: JobRecord, before: JobState | None, new: JobState, reason: str | None, time: datetime
) -> None:
    told = {"job": job.id, "kind": job.kind, "from": before, "to": new, "reason": reason}
    append_event(connection, job.study_id, "job.state", told, time)
