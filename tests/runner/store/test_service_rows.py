"""What a service records beside studies: workers, tokens, answers to repeat, notes, and the order of all events."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from runner.store import (
    AmbiguousId,
    IdempotencyBusy,
    IdempotencyMismatch,
    ImmutableValue,
    InvalidRecord,
    NotRecorded,
    StaleRevision,
    StudyExists,
    StudyNotFound,
)
from tests.runner.store.examples import BEGUN, a_token, a_worker, an_artifact

if TYPE_CHECKING:
    from runner.store import Repository, StudyRecord
    from tests.runner.store.conftest import Clock

SHA = "0" * 64


class TestOwners:
    def test_a_name_is_unique_among_an_owner_s(self, repository: Repository) -> None:
        ann, bob = (
            repository.create_study(name="digits", spec="{}", spec_digest="d", seed=0, owner=owner)
            for owner in ("ann", "bob")
        )
        with pytest.raises(StudyExists):
            repository.create_study(name="digits", spec="{}", spec_digest="d", seed=0, owner="ann")
        assert repository.study("digits", "ann") == ann
        assert repository.study(bob.short_id, "bob") == bob
        with pytest.raises(AmbiguousId, match=r"2 studies are named 'digits'.*\(of ann\).*\(of bob\)"):
            repository.study("digits")

    def test_nobody_hears_of_what_is_not_theirs(self, repository: Repository) -> None:
        made = repository.create_study(name="secret plan", spec="{}", spec_digest="d", seed=0, owner="ann")
        for given in ("secret plan", "secret", made.id, made.short_id):
            with pytest.raises(StudyNotFound, match="Recorded: none yet") as refused:
                repository.study(given, "bob")
            assert "plan" not in str(refused.value).replace(repr(given), "")

    def test_to_create_with_the_same_id_again_is_to_create_once(self, repository: Repository) -> None:
        given = {"name": "n", "spec": "{}", "spec_digest": "d", "seed": 0, "study_id": "a" * 32}
        made = repository.create_study(**given)
        assert made.id == "a" * 32
        assert repository.create_study(**given) == made
        with pytest.raises(StudyExists):
            repository.create_study(**{**given, "study_id": "b" * 32})


class TestNotes:
    def test_an_edit_counts(self, repository: Repository, study: StudyRecord) -> None:
        first = repository.edit_study(study.id, 1, notes="café\x00")
        assert (first.notes, first.tags, first.revision) == ("café\\x00", (), 2)
        second = repository.edit_study(study.id, 2, tags=["b", "a", "b"])
        assert (second.notes, second.tags, second.revision) == (first.notes, ("b", "a"), 3)
        assert repository.study("digits") == second
        assert repository.edit_study(study.id, 3, notes="", tags=()).tags == ()

    def test_who_did_not_read_the_last_edit_changes_nothing(self, repository: Repository, study: StudyRecord) -> None:
        edited = repository.edit_study(study.id, 1, notes="mine")
        with pytest.raises(StaleRevision, match="revision 2, not 1"):
            repository.edit_study(study.id, 1, notes="theirs")
        assert repository.study("digits") == edited

    def test_a_study_gets_its_device_once(self, repository: Repository, study: StudyRecord) -> None:
        for device in ("laptop", "board"):
            repository.ensure_device(device, name=device, description={})
        assert repository.set_study_device(study.id, "laptop").device_id == "laptop"
        assert repository.set_study_device(study.id, "laptop") == repository.study("digits")
        with pytest.raises(ImmutableValue, match="'laptop' and is now given 'board'"):
            repository.set_study_device(study.id, "board")
        with pytest.raises(NotRecorded):
            repository.set_study_device(study.id, "toaster")


class TestWorkers:
    def test_their_times_are_the_database_s(self, repository: Repository, study: StudyRecord) -> None:
        before = repository.database_time()
        made = repository.register_worker(a_worker())
        assert before <= made.started_at == made.seen_at <= repository.database_time()
        assert repository.workers() == (made,)
        repository.seen_worker("worker", study.id)
        (seen,) = repository.workers()
        assert (seen.study_id, seen.started_at) == (study.id, made.started_at)
        assert seen.seen_at >= made.seen_at
        repository.stop_worker("worker")
        (stopped,) = repository.workers()
        assert (stopped.study_id, stopped.stopped_at) == (None, stopped.seen_at)

    def test_one_that_begins_again_takes_its_own_place(self, repository: Repository) -> None:
        repository.register_worker(a_worker())
        repository.stop_worker("worker")
        again = repository.register_worker(a_worker(pid=4321))
        assert repository.workers() == (again,)
        assert again.stopped_at is None

    def test_a_deleted_study_leaves_its_worker(self, repository: Repository, study: StudyRecord) -> None:
        repository.register_worker(a_worker())
        repository.seen_worker("worker", study.id)
        repository.delete_study(study.id)
        assert repository.workers()[0].study_id is None

    def test_one_that_nobody_heard_of_for_a_month_is_forgotten(self, repository: Repository) -> None:
        repository.register_worker(a_worker("old"))
        with repository._writing("seen_worker") as connection:
            connection.execute(text("UPDATE worker SET seen_at = '2020-01-01 00:00:00.000000'"))
        repository.register_worker(a_worker("new"))
        assert [each.id for each in repository.workers()] == ["new"]

    def test_an_unknown_one_is_named(self, repository: Repository) -> None:
        for call in (lambda: repository.seen_worker("w", None), lambda: repository.stop_worker("w")):
            with pytest.raises(NotRecorded, match="no worker 'w'"):
                call()


class TestTokens:
    def test_a_token_reads_back(self, repository: Repository) -> None:
        made = a_token(expires_at=BEGUN + timedelta(days=1))
        assert repository.create_token(made) == made == repository.token("token")
        other = repository.create_token(a_token("other", owner="ann"))
        assert repository.tokens("ann") == (other,)
        assert set(repository.tokens()) == {made, other}
        with pytest.raises(InvalidRecord, match="'token' already"):
            repository.create_token(made)
        with pytest.raises(NotRecorded, match="no token 'none'"):
            repository.token("none")

    def test_its_use_is_written_once_a_minute(self, repository: Repository, clock: Clock) -> None:
        repository.create_token(a_token())
        repository.touch_token("token")
        first = repository.token("token").last_used_at
        assert first == clock.time
        repository.touch_token("token")
        assert repository.token("token").last_used_at == first
        clock.time += timedelta(minutes=1)
        repository.touch_token("token")
        assert repository.token("token").last_used_at == clock.time

    def test_it_is_revoked_once(self, repository: Repository, clock: Clock) -> None:
        repository.create_token(a_token())
        revoked = repository.revoke_token("token")
        assert revoked.revoked_at == clock.time
        assert repository.revoke_token("token") == revoked
        with pytest.raises(NotRecorded):
            repository.revoke_token("none")

    def test_a_link_works_once(self, repository: Repository, clock: Clock) -> None:
        repository.create_token(a_token("link", kind="link", expires_at=clock.time + timedelta(hours=1)))
        repository.create_token(a_token("late", kind="link", expires_at=clock.time))
        repository.create_token(a_token("no link"))
        assert [repository.use_link(each) for each in ("link", "link", "late", "no link", "none")] == [
            True,
            False,
            False,
            False,
            False,
        ]
        assert repository.token("link").revoked_at is not None

    @pytest.mark.parametrize(("change", "message"), [({"scopes": ("root",)}, "root"), ({"kind": "key"}, "key")])
    def test_what_is_no_token_is_refused(self, change: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidRecord, match=f"'{message}'; allowed"):
            a_token(**change)


class TestIdempotency:
    def test_the_answer_is_given_again(self, repository: Repository) -> None:
        assert repository.begin_idempotent("ann", "k", SHA) is None
        with pytest.raises(IdempotencyBusy):
            repository.begin_idempotent("ann", "k", SHA)
        repository.finish_idempotent("ann", "k", 201, {"id": "x"})
        assert repository.begin_idempotent("ann", "k", SHA) == (201, {"id": "x"})
        assert repository.begin_idempotent("bob", "k", SHA) is None

    def test_another_request_with_the_same_key_is_refused(self, repository: Repository) -> None:
        repository.begin_idempotent("ann", "k", SHA)
        with pytest.raises(IdempotencyMismatch, match="another request"):
            repository.begin_idempotent("ann", "k", "1" * 64)

    def test_what_nobody_finished_within_a_minute_can_be_begun_again(self, repository: Repository) -> None:
        repository.begin_idempotent("ann", "k", SHA)
        with repository._writing("begin_idempotent") as connection:
            connection.execute(text("UPDATE idempotency SET created_at = '2020-01-01 00:00:00.000000'"))
        assert repository.begin_idempotent("ann", "k", SHA) is None
        with pytest.raises(IdempotencyBusy):
            repository.begin_idempotent("ann", "k", SHA)

    def test_what_could_not_be_answered_is_forgotten_at_once(self, repository: Repository) -> None:
        repository.begin_idempotent("ann", "k", SHA)
        repository.abandon_idempotent("ann", "k")
        assert repository.begin_idempotent("ann", "k", SHA) is None
        repository.finish_idempotent("ann", "k", 204, None)
        repository.abandon_idempotent("ann", "k")
        assert repository.begin_idempotent("ann", "k", SHA) == (204, None)

    def test_old_answers_are_forgotten(self, repository: Repository) -> None:
        repository.begin_idempotent("ann", "k", SHA)
        assert repository.forget_idempotent(timedelta(days=1)) == 0
        assert repository.forget_idempotent(timedelta(days=-1)) == 1
        with pytest.raises(NotRecorded):
            repository.finish_idempotent("ann", "k", 201, {})


class TestEventsOfAll:
    def test_one_order_over_all_studies(self, repository: Repository, study: StudyRecord) -> None:
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0, owner="ann")
        for _ in range(3):
            repository.add_event(study.id, "note")
            repository.add_event(other.id, "note")
        events = repository.events_after(0, limit=100)
        assert [each.number for each in events] == list(range(1, 9))
        assert repository.last_event_number() == 8
        assert [each.number for each in repository.events_after(3, limit=2)] == [4, 5]
        assert repository.events_after(0, owner="ann", limit=100) == repository.events(other.id)
        assert repository.events_after(4, study_id=study.id, limit=100) == repository.events(study.id)[2:]
        assert repository.events_after(0, study_id=other.id, owner="local", limit=100) == ()
        assert repository.events_after(8, limit=100) == ()

    def test_a_number_never_comes_back(self, repository: Repository, study: StudyRecord) -> None:
        last = repository.add_event(study.id, "note").number
        repository.delete_study(study.id)
        assert repository.last_event_number() == last
        made = repository.create_study(name="new", spec="{}", spec_digest="d", seed=0)
        assert repository.events(made.id)[0].number == last + 1

    def test_before_the_first_there_is_none(self, repository: Repository) -> None:
        assert repository.last_event_number() == 0
        assert repository.events_after(0, limit=10) == ()


def test_an_artifact_is_found_by_its_id(repository: Repository, study: StudyRecord) -> None:
    made, _ = repository.record_artifact(study.id, an_artifact())
    assert repository.find_artifact(made.id) == made
    with pytest.raises(NotRecorded, match="no artifact 'none'"):
        repository.find_artifact("none")
