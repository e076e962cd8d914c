"""Jobs: each is done once, by one worker at a time, and never while its study runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.store import IllegalTransition, InvalidRecord, LeaseLost, NotRecorded, StudyNotFound
from tests.runner.store.test_claims import claimed, end_leases, submit

if TYPE_CHECKING:
    from runner.store import JobClaim, Repository, StudyRecord
    from tests.runner.store.conftest import Clock


def claimed_job(repository: Repository, worker: str = "first") -> JobClaim:
    claim = repository.claim_job(worker, 600)
    assert claim is not None
    return claim


def told(repository: Repository, study: StudyRecord) -> list[tuple[object, object]]:
    return [
        (event.payload["from"], event.payload["to"])
        for event in repository.events(study.id)
        if event.kind == "job.state"
    ]


class TestQueue:
    def test_a_job_reads_back(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        made = repository.create_job(study.id, "export", {"point": "knee", "formats": ["onnx"]})
        assert (made.study_id, made.kind, made.state, made.attempt) == (study.id, "export", "queued", 0)
        assert made.created_at == made.updated_at == clock.time
        assert repository.job(made.id) == made
        assert repository.jobs(study.id) == (made,)
        assert told(repository, study) == [(None, "queued")]

    def test_the_same_id_is_the_same_job(self, repository: Repository, study: StudyRecord) -> None:
        made = repository.create_job(study.id, "export", {}, job_id="f" * 32)
        assert repository.create_job(study.id, "retrain", {"other": 1}, job_id="f" * 32) == made
        assert repository.jobs(study.id) == (made,)

    def test_what_is_unknown_is_refused(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(InvalidRecord, match="no job 'dance'; allowed: retrain, export"):
            repository.create_job(study.id, "dance", {})
        with pytest.raises(StudyNotFound):
            repository.create_job("nobody", "export", {})
        with pytest.raises(NotRecorded, match="no job 'none'"):
            repository.job("none")
        with pytest.raises(NotRecorded, match="no job 'none'"):
            repository.cancel_job("none")

    def test_the_oldest_is_done_first_one_of_a_study_at_a_time(
        self, repository: Repository, study: StudyRecord
    ) -> None:
        other = submit(repository, "other")
        repository.set_desired_state(other.id, "stopped", "ann")
        first, _, third = (repository.create_job(each.id, "export", {}) for each in (study, study, other))
        claims = [claimed_job(repository, "one"), claimed_job(repository, "two")]
        assert [claim.job.id for claim in claims] == [first.id, third.id]
        assert [(claim.attempt, claim.job.state, claim.worker_id) for claim in claims] == [
            (1, "running", "one"),
            (1, "running", "two"),
        ]
        assert repository.claim_job("three", 600) is None
        repository.finish_job(claims[0], "complete")
        assert claimed_job(repository, "three").job.study_id == study.id


class TestStudyAndJob:
    def test_a_job_waits_for_the_worker_of_its_study(self, repository: Repository) -> None:
        made = submit(repository)
        claim = claimed(repository)
        repository.create_job(made.id, "export", {})
        assert repository.claim_job("second", 600) is None
        repository.set_desired_state(made.id, "stopped", "ann")
        repository.release_study(claim)
        assert claimed_job(repository).job.study_id == made.id

    def test_a_study_waits_for_the_worker_of_its_job(self, repository: Repository) -> None:
        made = submit(repository)
        repository.create_job(made.id, "export", {})
        job = claimed_job(repository)
        assert repository.claim_study("second", 600) is None
        repository.finish_job(job, "failed", "no room")
        assert claimed(repository).study.id == made.id


class TestEnds:
    def test_progress_and_result(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        repository.create_job(study.id, "export", {})
        claim = claimed_job(repository)
        repository.set_job_progress(claim, {"step": 1})
        assert dict(repository.job(claim.job.id).progress or {}) == {"step": 1}
        done = repository.finish_job(claim, "complete", None, {"artifact": "a"})
        assert (done.state, dict(done.result or {}), done.finished_at) == ("complete", {"artifact": "a"}, clock.time)
        assert (done.lease_owner, done.lease_until) == (None, None)
        assert told(repository, study) == [(None, "queued"), ("queued", "running"), ("running", "complete")]
        with pytest.raises(LeaseLost):
            repository.finish_job(claim, "complete")
        with pytest.raises(IllegalTransition, match="from 'complete'"):
            repository.cancel_job(done.id)

    def test_a_dead_worker_s_job_is_done_again_and_it_cannot_finish_it(
        self, repository: Repository, study: StudyRecord
    ) -> None:
        repository.create_job(study.id, "retrain", {})
        first = claimed_job(repository)
        end_leases(repository)
        assert repository.renew_job(first, 600) == "running"
        end_leases(repository)
        second = claimed_job(repository, "second")
        assert (second.job.id, second.attempt) == (first.job.id, 2)
        assert told(repository, study)[1:] == [("queued", "running"), ("running", "queued"), ("queued", "running")]
        for call in (
            lambda: repository.finish_job(first, "complete"),
            lambda: repository.renew_job(first, 600),
            lambda: repository.set_job_progress(first, {}),
            lambda: repository.fenced(first).add_event(study.id, "note"),
        ):
            with pytest.raises(LeaseLost, match="attempt 2 of second"):
                call()
        repository.fenced(second).add_event(study.id, "note")
        assert repository.finish_job(second, "failed", "no\x00 room").reason == "no\\x00 room"

    def test_to_cancel_what_waits(self, repository: Repository, study: StudyRecord) -> None:
        made = repository.create_job(study.id, "export", {})
        cancelled = repository.cancel_job(made.id)
        assert cancelled.state == "cancelled"
        assert repository.cancel_job(made.id) == cancelled
        assert repository.claim_job("first", 600) is None

    def test_to_cancel_what_is_being_done(self, repository: Repository, study: StudyRecord) -> None:
        repository.create_job(study.id, "export", {})
        repository.create_job(study.id, "export", {})
        claim = claimed_job(repository)
        repository.cancel_job(claim.job.id)
        assert repository.claim_job("second", 600) is None  # the first is still in the folder of the study
        assert repository.renew_job(claim, 600) == "cancelled"
        done = repository.finish_job(claim, "complete", None, {"too": "late"})
        assert (done.state, done.result, done.lease_owner) == ("cancelled", None, None)
        assert claimed_job(repository, "second").job.id != claim.job.id

    def test_to_let_a_job_go(self, repository: Repository, study: StudyRecord) -> None:
        repository.create_job(study.id, "export", {})
        claim = claimed_job(repository)
        assert repository.release_job(claim) is True
        assert repository.job(claim.job.id).state == "queued"
        assert repository.release_job(claim) is False
        again = claimed_job(repository, "second")
        repository.cancel_job(again.job.id)
        assert repository.release_job(again) is True
        assert repository.job(again.job.id).state == "cancelled"

    def test_a_job_ends_in_one_of_three_ways(self, repository: Repository, study: StudyRecord) -> None:
        repository.create_job(study.id, "export", {})
        with pytest.raises(IllegalTransition, match="complete, failed, cancelled, not as 'queued'"):
            repository.finish_job(claimed_job(repository), "queued")

    def test_jobs_go_with_their_study(self, repository: Repository, study: StudyRecord) -> None:
        repository.create_job(study.id, "export", {})
        claim = claimed_job(repository)
        repository.delete_study(study.id)
        with pytest.raises(LeaseLost, match="was deleted"):
            repository.renew_job(claim, 600)
        assert repository.release_job(claim) is False
