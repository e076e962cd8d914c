"""Claims of studies: one worker at a time, by the database's clock, and none that is late writes anything."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from runner.store import IllegalTransition, InvalidRecord, LeaseLost, StudyNotFound
from tests.runner.store.examples import an_evaluation

if TYPE_CHECKING:
    from runner.store import Repository, StudyClaim, StudyRecord
    from tests.runner.store.conftest import Clock


def submit(repository: Repository, name: str = "submitted") -> StudyRecord:
    return repository.create_study(name=name, spec="{}", spec_digest="d", seed=0, desired_state="running")


def claimed(repository: Repository, worker: str = "first") -> StudyClaim:
    claim = repository.claim_study(worker, 600)
    assert claim is not None
    return claim


def end_leases(repository: Repository) -> None:
    """As if the workers had been silent for long: nobody has to wait for it."""
    with repository._writing("claim_study") as connection:
        for table in ("study", "job"):
            connection.execute(
                text(f"UPDATE {table} SET lease_until = :past WHERE lease_until IS NOT NULL"),
                {"past": "2020-01-01 00:00:00.000000"},
            )


def kinds(repository: Repository, study: StudyRecord) -> list[str]:
    return [event.kind for event in repository.events(study.id)]


class TestClaiming:
    def test_the_oldest_that_is_to_run_comes_first(self, repository: Repository, study: StudyRecord) -> None:
        first, second = submit(repository, "first"), submit(repository, "second")
        claims = [claimed(repository, "one"), claimed(repository, "two")]
        assert [claim.study.id for claim in claims] == [first.id, second.id]
        assert [claim.attempt for claim in claims] == [1, 1]
        assert claims[0].study == repository.study("first")
        assert (claims[0].study.lease_owner, claims[0].worker_id) == ("one", "one")
        assert repository.claim_study("three", 600) is None
        assert repository.study(study.id).lease_owner is None  # the one in the foreground is nobody's
        assert kinds(repository, first) == ["study.created", "study.claimed"]

    @pytest.mark.parametrize("way", [(), ("running",), ("running", "interrupted")])
    def test_what_has_begun_goes_on(self, repository: Repository, way: tuple[str, ...]) -> None:
        made = submit(repository)
        for state in way:
            made = repository.transition_study(made.id, made.state, state)
        assert claimed(repository).study.id == made.id

    @pytest.mark.parametrize("way", [("running", "failed"), ("running", "complete")])
    def test_what_has_ended_does_not(self, repository: Repository, way: tuple[str, ...]) -> None:
        made = submit(repository)
        for state in way:
            made = repository.transition_study(made.id, made.state, state)
        assert repository.claim_study("first", 600) is None

    def test_a_lease_that_ended_makes_another_attempt(self, repository: Repository) -> None:
        made = submit(repository)
        claimed(repository)
        end_leases(repository)
        second = claimed(repository, "second")
        assert (second.study.id, second.attempt, second.worker_id) == (made.id, 2, "second")

    def test_it_ends_by_the_database_s_clock_whatever_the_worker_s_says(
        self, repository: Repository, clock: Clock
    ) -> None:
        submit(repository)
        before = repository.database_time()
        claim = claimed(repository)
        assert claim.study.lease_until is not None
        assert before + timedelta(seconds=599) < claim.study.lease_until
        assert claim.study.lease_until < repository.database_time() + timedelta(seconds=601)
        for hours in (1, -2):
            clock.time += timedelta(hours=hours)
            assert repository.claim_study("second", 600) is None
            assert repository.renew_study(claim, 600) == "running"

    @pytest.mark.parametrize(("worker", "seconds"), [("", 60), ("w", 0), ("w", -1), ("w", float("nan"))])
    def test_what_is_no_lease_is_refused(self, repository: Repository, worker: str, seconds: float) -> None:
        with pytest.raises(InvalidRecord):
            repository.claim_study(worker, seconds)


class TestLeases:
    def test_to_renew_tells_what_is_wanted(self, repository: Repository) -> None:
        made = submit(repository)
        claim = claimed(repository)
        assert repository.renew_study(claim, 1000) == "running"
        until = repository.study(made.id).lease_until
        assert until is not None
        assert until > repository.database_time() + timedelta(seconds=900)
        repository.set_desired_state(made.id, "stopped", "somebody")
        assert repository.renew_study(claim, 1000) == "stopped"

    def test_a_lease_that_ended_can_be_renewed_until_another_has_the_study(self, repository: Repository) -> None:
        submit(repository)
        claim = claimed(repository)
        end_leases(repository)
        assert repository.renew_study(claim, 600) == "running"
        assert repository.claim_study("second", 600) is None
        end_leases(repository)
        claimed(repository, "second")
        with pytest.raises(LeaseLost, match="was attempt 1 of first and is now attempt 2 of second"):
            repository.renew_study(claim, 600)

    def test_of_a_deleted_study_there_is_no_lease(self, repository: Repository) -> None:
        claim = claimed(repository) if submit(repository) else None
        assert claim is not None
        repository.delete_study(claim.study.id)
        with pytest.raises(LeaseLost, match="was deleted"):
            repository.renew_study(claim, 600)
        assert repository.release_study(claim) is False

    def test_what_is_released_can_be_claimed_at_once(self, repository: Repository) -> None:
        submit(repository)
        claim = claimed(repository)
        assert repository.release_study(claim) is True
        assert repository.release_study(claim) is False
        assert claimed(repository, "second").attempt == 2


class TestFence:
    def test_who_holds_the_claim_writes(self, repository: Repository) -> None:
        submit(repository)
        claim = claimed(repository)
        mine = repository.fenced(claim)
        mine.transition_study(claim.study.id, "created", "running")
        assert mine.record_evaluation(claim.study.id, an_evaluation())[1]
        mine.close()  # the connections are the other one's
        assert repository.study(claim.study.id).state == "running"

    def test_who_lost_it_writes_nothing(self, repository: Repository) -> None:
        submit(repository)
        mine = repository.fenced(claimed(repository))
        end_leases(repository)
        mine.add_event(repository.study("submitted").id, "note")  # nobody else has begun
        other = claimed(repository, "second")
        before = repository.events(other.study.id)
        for call in (
            lambda: mine.add_event(other.study.id, "note"),
            lambda: mine.record_evaluation(other.study.id, an_evaluation()),
            lambda: mine.ensure_device("laptop", name="laptop", description={}),
            lambda: mine.transition_study(other.study.id, "created", "running"),
        ):
            with pytest.raises(LeaseLost, match="nothing was written"):
                call()
        assert (repository.events(other.study.id), repository.evaluations(other.study.id)) == (before, ())
        assert repository.devices() == ()
        assert mine.study("submitted") == repository.study("submitted")  # reading is free

    def test_of_a_deleted_study_nothing_is_written(self, repository: Repository) -> None:
        submit(repository)
        claim = claimed(repository)
        repository.delete_study(claim.study.id)
        with pytest.raises(LeaseLost):
            repository.fenced(claim).ensure_device("laptop", name="laptop", description={})


class TestWishes:
    def test_one_that_no_worker_holds_stops_at_once(self, repository: Repository) -> None:
        made = submit(repository)
        stopped = repository.set_desired_state(made.id, "stopped", "ann")
        assert (stopped.state, stopped.desired_state) == ("interrupted", "stopped")
        assert stopped.reason == "ann asked that it stops"
        assert stopped == repository.study(made.id)
        assert [dict(event.payload) for event in repository.events(made.id)[1:]] == [
            {"from": "running", "to": "stopped", "by": "ann"},
            {"from": "created", "to": "interrupted", "reason": stopped.reason},
        ]
        assert repository.claim_study("first", 600) is None
        assert repository.set_desired_state(made.id, "stopped", "bob") == stopped
        assert len(repository.events(made.id)) == 3
        again = repository.set_desired_state(made.id, "running", "bob")
        assert (again.state, again.desired_state) == ("interrupted", "running")
        assert claimed(repository).study.id == made.id

    def test_the_worker_that_holds_it_stops_it_itself(self, repository: Repository) -> None:
        made = submit(repository)
        claim = claimed(repository)
        mine = repository.fenced(claim)
        mine.transition_study(made.id, "created", "running")
        asked = repository.set_desired_state(made.id, "stopped", "ann")
        assert (asked.state, asked.lease_owner) == ("running", "first")
        assert mine.renew_study(claim, 600) == "stopped"
        assert mine.transition_study(made.id, "running", "interrupted", "asked to").state == "interrupted"

    def test_a_dead_worker_s_study_stops_at_once_and_it_may_not_come_back(self, repository: Repository) -> None:
        made = submit(repository)
        claim = claimed(repository)
        repository.transition_study(made.id, "created", "running")
        end_leases(repository)
        assert repository.set_desired_state(made.id, "stopped", "ann").state == "interrupted"
        with pytest.raises(LeaseLost, match="now attempt 1 of nobody"):
            repository.fenced(claim).add_event(made.id, "note")

    def test_a_failed_study_can_be_asked_to_go_on(self, repository: Repository) -> None:
        made = submit(repository)
        repository.transition_study(made.id, "created", "running")
        repository.transition_study(made.id, "running", "failed", "loss is NaN")
        repository.set_desired_state(made.id, "stopped", "ann")
        assert repository.study(made.id).state == "failed"
        again = repository.set_desired_state(made.id, "running", "ann")
        assert (again.state, again.finished_at) == ("interrupted", None)
        assert claimed(repository).study.id == made.id

    @pytest.mark.parametrize("desired", ["running", "stopped"])
    def test_a_complete_study_stays_complete(self, repository: Repository, desired: str) -> None:
        made = submit(repository)
        repository.transition_study(made.id, "created", "running")
        repository.transition_study(made.id, "running", "complete")
        with pytest.raises(IllegalTransition, match="is complete"):
            repository.set_desired_state(made.id, desired, "ann")

    def test_one_that_runs_in_the_foreground_is_stopped_there(self, repository: Repository, study: StudyRecord) -> None:
        repository.transition_study(study.id, "created", "running")
        with pytest.raises(IllegalTransition, match="Ctrl-C"):
            repository.set_desired_state(study.id, "stopped", "ann")
        assert repository.claim_study("first", 600) is None
        assert repository.set_desired_state(study.id, "running", "ann").state == "running"
        assert claimed(repository).study.id == study.id

    def test_what_nobody_can_want_is_refused(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(InvalidRecord, match="running or stopped, not 'paused'"):
            repository.set_desired_state(study.id, "paused", "ann")
        with pytest.raises(StudyNotFound):
            repository.set_desired_state("nobody", "running", "ann")
