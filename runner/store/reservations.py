"""Reservations of evaluations.  It owns that a budget is never overspent and that late results are refused.

Who is about to evaluate something reserves it first, renews its lease while it works, and settles it with the
result.  An owner names one process in one life of it (host, process and a random part), never two.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from runner.store.checks import check_finite
from runner.store.errors import AlreadyEvaluated, BudgetSpent, InvalidRecord, Reserved, StaleAttempt
from runner.store.evaluations import enter_evaluation, load_evaluation
from runner.store.lookup import hold_study, require_study
from runner.store.records import Reservation
from runner.store.tables import EvaluationRow, ReservationRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

    from runner.store.records import EvaluationRecord, NewEvaluation, NewReservation


class Reservations(Transactions):
    """Reads and writes reservations."""

    def reserve(
        self,
        study_id: str,
        reservation: NewReservation,
        *,
        owner: str,
        lease_seconds: float,
        budget: int | None,
    ) -> Reservation:
        """Reserve an evaluation for `owner`, who alone may settle it, and for `lease_seconds` at least.

        What the same owner holds, or another whose lease has ended, becomes a further attempt; its place in
        the budget is taken already.  Otherwise evaluations and reservations of that fidelity must be fewer
        than `budget` (None: without limit).  Raises AlreadyEvaluated, Reserved (by another owner, whose lease
        runs) or BudgetSpent.
        """
        _check_lease(owner, lease_seconds)
        with self._writing("reserve") as connection:
            hold_study(connection, study_id)
            if known := load_evaluation(connection, study_id, reservation):
                raise AlreadyEvaluated(
                    f"{_named(reservation)} is evaluation {known.sequence} of the study already; "
                    "take its values with find_evaluation()"
                )
            time = self._time()  # here, where the lock is ours: to wait for it may have taken seconds
            until = time + timedelta(seconds=lease_seconds)
            if held := _load_one(connection, study_id, reservation):
                if held.owner != owner and time < held.until:
                    raise Reserved(
                        f"{_named(reservation)} is reserved by {held.owner} until {held.until:%Y-%m-%d %H:%M:%S} UTC "
                        f"(attempt {held.attempt}); evaluate something else, or wait until then"
                    )
                taken = replace(held, owner=owner, attempt=held.attempt + 1, until=until)
                connection.execute(
                    update(ReservationRow)
                    .where(*_key(study_id, held))
                    .values(owner=owner, attempt=taken.attempt, until=until)
                )
                return taken
            if budget is not None:
                _require_room(connection, study_id, reservation.fidelity, budget)
            made = Reservation(
                study_id=study_id,
                digest=reservation.digest,
                architecture_json=reservation.architecture_json,
                fidelity=reservation.fidelity,
                seed=reservation.seed,
                origin=reservation.origin,
                sequence=_next_sequence(connection, study_id),
                owner=owner,
                attempt=1,
                until=until,
                created_at=time,
            )
            connection.execute(insert(ReservationRow).values(**asdict(made)))
            return made

    def renew(self, study_id: str, owner: str, lease_seconds: float) -> int:
        """Let every lease of `owner` end in `lease_seconds` from now; return how many there are.

        Fewer than the owner counts itself means that others have taken some of them.
        """
        _check_lease(owner, lease_seconds)
        with self._writing("renew") as connection:
            hold_study(connection, study_id)
            until = self._time() + timedelta(seconds=lease_seconds)
            renewed = connection.execute(update(ReservationRow).where(*_held(study_id, owner)).values(until=until))
            return renewed.rowcount

    def take_over(self, study_id: str, owner: str) -> tuple[Reservation, ...]:
        """Make all reservations of a study `owner`'s, in the order in which they were made.

        Only for who knows that their former owners are dead, as the holder of the study's lock does.  Attempts
        and leases stay as they are: to begin one again, `reserve` it again, which counts the attempt.
        """
        _check_owner(owner)
        with self._writing("take_over") as connection:
            hold_study(connection, study_id)
            connection.execute(update(ReservationRow).where(ReservationRow.study_id == study_id).values(owner=owner))
            return _load(connection, (ReservationRow.study_id == study_id,))

    def settle(
        self, study_id: str, owner: str, attempt: int, evaluation: NewEvaluation
    ) -> tuple[EvaluationRecord, bool]:
        """Record the result of an attempt in place of its reservation; return it and whether it was new.

        Where its digest, fidelity and seed are recorded already, nothing changes; the older one is returned.
        Raises StaleAttempt where `owner` does not hold this attempt any more; the result is refused then.
        """
        evaluation = replace(evaluation, attempt=attempt)
        with self._writing("settle") as connection:
            hold_study(connection, study_id)
            if known := load_evaluation(connection, study_id, evaluation):
                return known, False
            held = _load_one(connection, study_id, evaluation)
            if held is None or (held.owner, held.attempt) != (owner, attempt):
                now = "nobody" if held is None else f"{held.owner} (attempt {held.attempt})"
                raise StaleAttempt(
                    f"{_named(evaluation)} was attempt {attempt} of {owner} and is now reserved by {now}; "
                    "this result came too late and was not recorded: go on with something else"
                )
            return enter_evaluation(connection, study_id, evaluation, self._time()), True

    def release(self, study_id: str, owner: str, reservations: Iterable[Reservation] | None = None) -> int:
        """Drop what `owner` reserved and never began, so that its places in the budget are free again.

        Those given, as far as `owner` still holds those attempts, or all of its own; return how many.  What was
        begun should stay: its attempt would be counted from 1 again.
        """
        with self._writing("release") as connection:
            hold_study(connection, study_id)
            if reservations is None:
                return connection.execute(delete(ReservationRow).where(*_held(study_id, owner))).rowcount
            return sum(
                connection.execute(
                    delete(ReservationRow).where(
                        *_held(study_id, owner), *_key(study_id, each), ReservationRow.attempt == each.attempt
                    )
                ).rowcount
                for each in reservations
            )

    def reservations(self, study_id: str) -> tuple[Reservation, ...]:
        """The reservations of a study, in the order in which they were made."""
        with self._reading() as connection:
            require_study(connection, study_id)
            return _load(connection, (ReservationRow.study_id == study_id,))


def _check_owner(owner: str) -> None:
    if not owner:
        raise InvalidRecord("a reservation needs an owner; name the process that makes it")


def _check_lease(owner: str, lease_seconds: float) -> None:
    _check_owner(owner)
    check_finite("lease_seconds", lease_seconds)
    if lease_seconds <= 0:
        raise InvalidRecord(f"lease_seconds is {lease_seconds}; a lease is longer than 0 s")


def _key(study_id: str, key: NewReservation | NewEvaluation) -> tuple[ColumnElement[bool], ...]:
    return (
        ReservationRow.study_id == study_id,
        ReservationRow.digest == key.digest,
        ReservationRow.fidelity == key.fidelity,
        ReservationRow.seed == key.seed,
    )


def _held(study_id: str, owner: str) -> tuple[ColumnElement[bool], ...]:
    return (ReservationRow.study_id == study_id, ReservationRow.owner == owner)


def _load(connection: Connection, conditions: Iterable[ColumnElement[bool]]) -> tuple[Reservation, ...]:
    wanted = select(ReservationRow).where(*conditions).order_by(ReservationRow.sequence)
    return tuple(Reservation(**row._mapping) for row in connection.execute(wanted))


def _load_one(connection: Connection, study_id: str, key: NewReservation | NewEvaluation) -> Reservation | None:
    found = _load(connection, _key(study_id, key))
    return found[0] if found else None


def _require_room(connection: Connection, study_id: str, fidelity: str, budget: int) -> None:
    evaluated, reserved = (
        connection.scalar(
            select(func.count()).select_from(table).where(table.study_id == study_id, table.fidelity == fidelity)
        )
        or 0
        for table in (EvaluationRow, ReservationRow)
    )
    if evaluated + reserved >= budget:
        raise BudgetSpent(
            f"the budget is {budget} evaluations of fidelity {fidelity!r}: {evaluated} are recorded and {reserved} "
            "are under way; wait for those, or raise the budget"
        )


def _next_sequence(connection: Connection, study_id: str) -> int:
    """Above those that are there; a number whose reservation is gone may come back, for it orders and names none."""
    last = connection.scalar(select(func.max(ReservationRow.sequence)).where(ReservationRow.study_id == study_id))
    return (last or 0) + 1


def _named(key: NewReservation | NewEvaluation) -> str:
    return f"the architecture {key.digest} (fidelity {key.fidelity!r}, seed {key.seed})"
