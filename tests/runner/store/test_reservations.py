from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runner.store import (
    AlreadyEvaluated,
    BudgetSpent,
    Failure,
    InvalidRecord,
    NewReservation,
    NotRecorded,
    Reservation,
    Reserved,
    StaleAttempt,
    ValueRecord,
)
from tests.runner.store.examples import a_reservation, an_evaluation

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.store import Repository, StudyRecord
    from tests.runner.store.conftest import Clock

LEASE_SECONDS = 60.0


@pytest.fixture
def reserve(repository: Repository, study: StudyRecord) -> Callable[..., Reservation]:
    def make(digest: str = "aaaa", owner: str = "first", budget: int | None = None, **changes: object) -> Reservation:
        wanted = a_reservation(digest, **changes)
        return repository.reserve(study.id, wanted, owner=owner, lease_seconds=LEASE_SECONDS, budget=budget)

    return make


def expire(clock: Clock) -> None:
    clock.time += timedelta(seconds=LEASE_SECONDS)


class TestReserve:
    def test_it_reads_back_whole(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation], clock: Clock
    ) -> None:
        made = reserve(origin="profile", seed=3)
        assert made == Reservation(
            study_id=study.id,
            digest="aaaa",
            architecture_json='{"depth":3}',
            fidelity="inherited",
            seed=3,
            origin="profile",
            sequence=1,
            owner="first",
            attempt=1,
            until=clock.time + timedelta(seconds=LEASE_SECONDS),
            created_at=clock.time,
        )
        assert repository.reservations(study.id) == (made,)

    def test_digest_fidelity_and_seed_make_it_unique_within_a_study(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        made = (reserve(), reserve("bbbb"), reserve(fidelity="retrained"), reserve(seed=1))
        assert repository.reservations(study.id) == made
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
        repository.reserve(other.id, a_reservation("aaaa"), owner="second", lease_seconds=1, budget=1)
        assert repository.reservations(study.id) == made

    def test_what_is_evaluated_is_not_reserved(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        repository.record_evaluation(study.id, an_evaluation("aaaa", values=(), failure=Failure(kind="k", message="m")))
        with pytest.raises(AlreadyEvaluated, match=r"aaaa \(fidelity 'inherited', seed 0\) is evaluation 1"):
            reserve()
        assert repository.reservations(study.id) == ()
        assert reserve(seed=1).attempt == 1

    def test_the_same_owner_begins_another_attempt(
        self,
        repository: Repository,
        study: StudyRecord,
        reserve: Callable[..., Reservation],
        clock: Clock,
    ) -> None:
        first = reserve()
        again = reserve(budget=1, origin="elsewhere")
        assert (again.attempt, again.owner, again.until) == (2, "first", clock.time + timedelta(seconds=LEASE_SECONDS))
        assert (again.created_at, again.sequence, again.origin) == (first.created_at, first.sequence, first.origin)
        assert repository.reservations(study.id) == (again,)

    def test_another_owner_waits_for_the_end_of_the_lease(
        self,
        repository: Repository,
        study: StudyRecord,
        reserve: Callable[..., Reservation],
        clock: Clock,
    ) -> None:
        first = reserve()
        clock.time = first.until - timedelta(seconds=2)  # the clock goes on by one second at each look
        with pytest.raises(Reserved, match=r"reserved by first until 2026-01-01 00:\d\d:\d\d UTC \(attempt 1\)"):
            reserve(owner="second")
        assert repository.reservations(study.id) == (first,)
        taken = reserve(owner="second")  # now it is exactly the end
        assert (taken.owner, taken.attempt) == ("second", 2)
        with pytest.raises(Reserved, match="reserved by second"):
            reserve(owner="first")

    def test_what_was_returned_can_be_reserved_again(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        made = reserve()
        again = repository.reserve(study.id, made, owner="first", lease_seconds=1, budget=None)
        repository.release(study.id, "first")
        anew = repository.reserve(study.id, again, owner="second", lease_seconds=1, budget=None)
        assert (again.attempt, anew.attempt, anew.owner) == (2, 1, "second")

    @pytest.mark.parametrize("lease_seconds", [0, -1.0, math.nan, math.inf, 1e30])
    def test_a_lease_ends_in_the_future(self, repository: Repository, study: StudyRecord, lease_seconds: float) -> None:
        with pytest.raises(InvalidRecord):
            repository.reserve(study.id, a_reservation(), owner="me", lease_seconds=lease_seconds, budget=None)
        repository.reserve(study.id, a_reservation(), owner="me", lease_seconds=1, budget=None)
        before = repository.reservations(study.id)
        with pytest.raises(InvalidRecord):
            repository.renew(study.id, "me", lease_seconds)
        assert repository.reservations(study.id) == before

    def test_an_owner_has_a_name(self, repository: Repository, study: StudyRecord) -> None:
        for call in (
            lambda: repository.reserve(study.id, a_reservation(), owner="", lease_seconds=1, budget=None),
            lambda: repository.take_over(study.id, ""),
            lambda: repository.renew(study.id, "", 1),
        ):
            with pytest.raises(InvalidRecord, match="needs an owner"):
                call()

    def test_a_seed_fits_into_its_column(self) -> None:
        with pytest.raises(InvalidRecord, match="64 bits"):
            NewReservation(digest="a", architecture_json="{}", fidelity="f", seed=2**63, origin="o")


class TestBudget:
    def test_evaluations_and_reservations_count_together(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        repository.record_evaluation(study.id, an_evaluation("done"))
        reserve("aaaa", budget=3)
        reserve("bbbb", owner="second", budget=3)
        with pytest.raises(
            BudgetSpent, match=r"budget is 3 evaluations of fidelity 'inherited': 1 are recorded and 2 are under way"
        ):
            reserve("cccc", budget=3)
        assert [each.digest for each in repository.reservations(study.id)] == ["aaaa", "bbbb"]
        assert reserve("cccc", budget=4).attempt == 1
        assert reserve("dddd", budget=None).attempt == 1

    def test_other_fidelities_and_studies_do_not_count(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
        repository.reserve(other.id, a_reservation("aaaa"), owner="first", lease_seconds=1, budget=1)
        reserve("bbbb", fidelity="retrained")
        repository.record_evaluation(study.id, an_evaluation("cccc", fidelity="exported"))
        assert reserve("aaaa", budget=1).attempt == 1

    def test_none_at_all(self, reserve: Callable[..., Reservation]) -> None:
        with pytest.raises(BudgetSpent):
            reserve(budget=0)

    def test_what_is_settled_counts_once(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        made = reserve("aaaa", budget=2)
        repository.settle(study.id, "first", made.attempt, an_evaluation("aaaa"))
        reserve("bbbb", budget=2)
        with pytest.raises(BudgetSpent):
            reserve("cccc", budget=2)

    def test_what_is_recorded_past_its_reservation_counts_once(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        reserve("aaaa", budget=2)
        repository.record_evaluation(study.id, an_evaluation("aaaa"))
        assert repository.reservations(study.id) == ()
        assert reserve("bbbb", budget=2).attempt == 1

    def test_a_dead_owner_keeps_its_places_until_somebody_begins_them_again(
        self, reserve: Callable[..., Reservation], clock: Clock
    ) -> None:
        """Otherwise a crash would be a way past the budget."""
        reserve("aaaa", budget=1)
        expire(clock)
        with pytest.raises(BudgetSpent):
            reserve("bbbb", owner="second", budget=1)
        assert reserve("aaaa", owner="second", budget=1).attempt == 2


class TestRenew:
    def test_all_leases_of_an_owner_and_no_others(
        self,
        repository: Repository,
        study: StudyRecord,
        reserve: Callable[..., Reservation],
        clock: Clock,
    ) -> None:
        reserve("aaaa")
        other = reserve("bbbb", owner="second")
        reserve("cccc")
        assert repository.renew(study.id, "first", 1000) == 2
        until = clock.time + timedelta(seconds=1000)
        mine = repository.reservations(study.id)
        assert [each.until for each in mine] == [until, other.until, until]
        assert [each.attempt for each in mine] == [1, 1, 1]
        assert repository.renew(study.id, "nobody", 1000) == 0

    def test_an_ended_lease_that_nobody_took_lives_on(
        self,
        repository: Repository,
        study: StudyRecord,
        reserve: Callable[..., Reservation],
        clock: Clock,
    ) -> None:
        reserve()
        expire(clock)
        assert repository.renew(study.id, "first", LEASE_SECONDS) == 1
        with pytest.raises(Reserved):
            reserve(owner="second")


class TestTakeOver:
    def test_everything_becomes_ours_in_order_and_nothing_else_changes(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        elsewhere = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
        repository.reserve(elsewhere.id, a_reservation(), owner="first", lease_seconds=1, budget=None)
        before = [reserve("cccc"), reserve("aaaa", owner="second"), reserve("bbbb")]
        before[0] = reserve("cccc")  # a further attempt does not change the order
        taken = repository.take_over(study.id, "new")
        assert [each.owner for each in taken] == ["new"] * 3
        assert [(each.digest, each.attempt, each.until, each.created_at) for each in taken] == [
            (each.digest, each.attempt, each.until, each.created_at) for each in before
        ]
        assert repository.reservations(study.id) == taken
        assert repository.reservations(elsewhere.id)[0].owner == "first"
        assert repository.take_over(study.id, "new") == taken

    def test_the_order_does_not_depend_on_the_clock(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation], clock: Clock
    ) -> None:
        for digest in ("cccc", "aaaa", "bbbb"):
            clock.time -= timedelta(hours=1)
            reserve(digest)
        repository.settle(study.id, "first", 1, an_evaluation("cccc"))
        reserve("0000")
        assert [each.digest for each in repository.take_over(study.id, "new")] == ["aaaa", "bbbb", "0000"]

    def test_the_former_owner_is_fenced(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        reserve()
        repository.take_over(study.id, "new")
        with pytest.raises(StaleAttempt, match=r"attempt 1 of first and is now reserved by new \(attempt 1\)"):
            repository.settle(study.id, "first", 1, an_evaluation("aaaa"))
        assert repository.renew(study.id, "first", 1) == 0
        assert repository.settle(study.id, "new", 1, an_evaluation("aaaa"))[1]

    def test_nothing_to_take(self, repository: Repository, study: StudyRecord) -> None:
        assert repository.take_over(study.id, "new") == ()


class TestSettle:
    def test_the_evaluation_takes_the_place_of_its_reservation(
        self,
        repository: Repository,
        study: StudyRecord,
        reserve: Callable[..., Reservation],
        clock: Clock,
    ) -> None:
        other = reserve("bbbb")
        reserve()
        made = reserve()
        record, created = repository.settle(study.id, "first", made.attempt, an_evaluation("aaaa"))
        assert created
        assert (record.attempt, record.sequence, record.created_at) == (2, 1, clock.time)
        assert record.values == an_evaluation().values
        assert repository.evaluations(study.id) == (record,)
        assert repository.reservations(study.id) == (other,)

    def test_a_failure_is_settled_too(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        reserve()
        failure = Failure(kind="worker_lost", message="killed by signal 9")
        record, _ = repository.settle(study.id, "first", 1, an_evaluation("aaaa", values=(), failure=failure))
        assert (record.state, record.failure) == ("failed", failure)
        assert repository.reservations(study.id) == ()

    def test_settling_again_changes_nothing(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        made = reserve()
        record, _ = repository.settle(study.id, "first", made.attempt, an_evaluation("aaaa"))
        for owner, attempt in (("first", 1), ("first", 2), ("second", 1)):
            given = an_evaluation("aaaa", values=(), failure=Failure(kind="k", message="m"))
            assert repository.settle(study.id, owner, attempt, given) == (record, False)
        assert repository.evaluations(study.id) == (record,)

    @pytest.mark.parametrize(("owner", "attempt"), [("first", 1), ("second", 1), ("first", 3), ("second", 3)])
    def test_another_attempt_is_refused_and_changes_nothing(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation], owner: str, attempt: int
    ) -> None:
        reserve()
        held = reserve()
        with pytest.raises(StaleAttempt, match=r"is now reserved by first \(attempt 2\); this result came too late"):
            repository.settle(study.id, owner, attempt, an_evaluation("aaaa"))
        assert repository.evaluations(study.id) == ()
        assert repository.reservations(study.id) == (held,)

    def test_what_nobody_reserved_is_refused(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(StaleAttempt, match="now reserved by nobody"):
            repository.settle(study.id, "first", 1, an_evaluation("aaaa"))
        assert repository.evaluations(study.id) == ()

    def test_an_ended_lease_that_nobody_took_still_settles(
        self,
        repository: Repository,
        study: StudyRecord,
        reserve: Callable[..., Reservation],
        clock: Clock,
    ) -> None:
        reserve()
        expire(clock)
        assert repository.settle(study.id, "first", 1, an_evaluation("aaaa"))[1]

    def test_what_cannot_be_recorded_leaves_the_reservation(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        held = reserve()
        value = ValueRecord(metric="latency_ms", value=1.0, provenance="inherited", device_id="nowhere")
        with pytest.raises(NotRecorded, match="no device 'nowhere'"):
            repository.settle(study.id, "first", 1, an_evaluation("aaaa", values=(value,)))
        assert repository.reservations(study.id) == (held,)
        assert repository.evaluations(study.id) == ()


class TestRelease:
    def test_all_of_an_owner(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        reserve("aaaa")
        other = reserve("bbbb", owner="second")
        reserve("cccc")
        assert repository.release(study.id, "first") == 2
        assert repository.reservations(study.id) == (other,)
        assert repository.release(study.id, "first") == 0

    def test_those_given_as_far_as_they_are_still_held(
        self, repository: Repository, study: StudyRecord, reserve: Callable[..., Reservation]
    ) -> None:
        queued, replaced, foreign = reserve("aaaa"), reserve("bbbb"), reserve("cccc", owner="second")
        begun = reserve("bbbb")
        assert repository.release(study.id, "first", (queued, replaced, foreign)) == 1
        assert repository.reservations(study.id) == (begun, foreign)
        assert repository.release(study.id, "first", ()) == 0
        assert repository.reservations(study.id) == (begun, foreign)
