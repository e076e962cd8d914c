from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from runner.store import (
    AmbiguousId,
    IllegalTransition,
    InvalidRecord,
    NotRecorded,
    Repository,
    StaleTransition,
    StudyExists,
    StudyNotFound,
    ValueRecord,
    studies,
)
from runner.store.records import STUDY_STATES
from runner.store.transitions import STUDY_TRANSITIONS
from tests.runner.store.examples import a_measurement, a_reservation, an_artifact, an_evaluation

if TYPE_CHECKING:
    from runner.store import StudyRecord
    from tests.runner.store.conftest import Clock

# The shortest way to each state from a new study.
WAYS_OF_STUDIES = {
    "created": (),
    "running": ("running",),
    "interrupted": ("running", "interrupted"),
    "failed": ("running", "failed"),
    "complete": ("running", "complete"),
}


class TestCreation:
    def test_a_new_study_reads_back_as_it_was_returned(self, repository: Repository, clock: Clock) -> None:
        repository.ensure_device("laptop", name="laptop", description={})
        made = repository.create_study(name="digits", spec='{"seed": 7}', spec_digest="abc", seed=7, device_id="laptop")
        assert repository.study("digits") == made
        assert (made.name, made.spec, made.spec_digest, made.seed) == ("digits", '{"seed": 7}', "abc", 7)
        assert (made.state, made.reason, made.device_id, made.finished_at) == (
            "created",
            None,
            "laptop",
            None,
        )
        assert made.created_at == made.updated_at == clock.time
        assert made.created_at.utcoffset() == timedelta(0)
        assert len(made.id) == 32
        assert made.id.startswith(made.short_id)

    def test_a_name_is_taken_once(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(StudyExists, match=rf"'digits'.*{study.short_id}.*created.*the same specification.*resume"):
            repository.create_study(name="digits", spec="{}", spec_digest="d1", seed=0)
        with pytest.raises(StudyExists, match="another specification"):
            repository.create_study(name="digits", spec="{}", spec_digest="d2", seed=0)
        assert repository.studies() == (study,)

    @pytest.mark.parametrize(("change", "message"), [({"name": ""}, "needs a name"), ({"seed": 2**63}, "64 bits")])
    def test_what_cannot_be_recorded_is_refused(
        self, repository: Repository, change: dict[str, object], message: str
    ) -> None:
        with pytest.raises(InvalidRecord, match=message):
            repository.create_study(**{"name": "n", "spec": "{}", "spec_digest": "d", "seed": 0, **change})
        assert repository.studies() == ()

    def test_an_unknown_device_is_refused(self, repository: Repository) -> None:
        with pytest.raises(NotRecorded, match=r"'toaster'.*ensure_device"):
            repository.create_study(name="n", spec="{}", spec_digest="d", seed=0, device_id="toaster")

    def test_a_name_that_is_no_unicode_is_refused(self, repository: Repository) -> None:
        with pytest.raises(InvalidRecord, match="cannot be recorded"):
            repository.create_study(name="n\udcff", spec="{}", spec_digest="d", seed=0)

    def test_a_time_is_kept_in_utc(self, repository: Repository) -> None:
        here = timezone(timedelta(hours=-9))
        there = Repository(repository._engine, place="", now=lambda: datetime(2026, 1, 1, 20, tzinfo=here))
        made = there.create_study(name="n", spec="{}", spec_digest="d", seed=0)
        assert made == repository.study("n")
        assert made.created_at.isoformat() == "2026-01-02T05:00:00+00:00"

    def test_a_clock_without_zone_is_refused(self, repository: Repository) -> None:
        naive = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        with pytest.raises(InvalidRecord, match="without a time zone"):
            Repository(repository._engine, place="", now=lambda: naive).create_study(
                name="n", spec="{}", spec_digest="d", seed=0
            )


class TestLookup:
    @pytest.fixture
    def ids(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The ids that new studies will get."""
        planned = ["ab" + "0" * 30, "ab1" + "0" * 29, "cd" + "0" * 30]

        class Planned:
            def __init__(self, digits: str) -> None:
                self.hex = digits

        following = iter(planned)
        monkeypatch.setattr(studies.uuid, "uuid4", lambda: Planned(next(following)))
        return planned

    @pytest.fixture
    def three(self, repository: Repository, ids: list[str]) -> list[str]:
        for name in ("digits", "digits-wide", "ab1"):
            repository.create_study(name=name, spec="{}", spec_digest="d", seed=0)
        return ids

    def test_by_name_by_id_and_by_the_beginning_of_an_id(self, repository: Repository, three: list[str]) -> None:
        assert repository.study("digits").id == three[0]
        assert repository.study(three[0]).id == three[0]
        assert repository.study("ab0").id == three[0]
        assert repository.study("AB0").id == three[0]
        assert repository.study("c").id == three[2]

    def test_a_name_goes_before_the_beginning_of_an_id(self, repository: Repository, three: list[str]) -> None:
        assert repository.study("ab1").id == three[2]
        assert repository.study("ab10").id == three[1]

    def test_an_ambiguous_beginning_lists_whose_it_is(self, repository: Repository, three: list[str]) -> None:
        with pytest.raises(AmbiguousId, match=r"2 studies.*'ab'.*ab0+ \(digits\), ab10+ \(digits-wide\)"):
            repository.study("ab")

    @pytest.mark.parametrize("given", ["", "digts", "%", "_", "ab%", "ffff"])
    def test_what_does_not_exist_is_not_found(self, repository: Repository, three: list[str], given: str) -> None:
        with pytest.raises(StudyNotFound, match="Recorded: ab1, digits, digits-wide"):
            repository.study(given)

    def test_the_nearest_name_is_told(self, repository: Repository, three: list[str]) -> None:
        with pytest.raises(StudyNotFound, match=r"no study 'digts'; did you mean 'digits'"):
            repository.study("digts")

    def test_an_empty_record_says_so(self, repository: Repository) -> None:
        with pytest.raises(StudyNotFound, match="Recorded: none yet"):
            repository.study("digits")

    def test_many_names_are_cut(self, repository: Repository) -> None:
        for number in range(12):
            repository.create_study(name=f"study-{number:02}", spec="{}", spec_digest="d", seed=0)
        with pytest.raises(StudyNotFound, match=r"study-09 and 2 more$"):
            repository.study("zzz")

    def test_studies_come_oldest_first(self, repository: Repository, three: list[str]) -> None:
        assert [study.id for study in repository.studies()] == three


class TestStudyTransitions:
    @pytest.mark.parametrize("start", STUDY_STATES)
    def test_every_pair_of_states(self, repository: Repository, start: str) -> None:
        for new in STUDY_STATES:
            made = repository.create_study(name=f"to-{new}", spec="{}", spec_digest="d", seed=0)
            for following in WAYS_OF_STUDIES[start]:
                made = repository.transition_study(made.id, made.state, following)
            events = repository.events(made.id)
            if new in STUDY_TRANSITIONS[start]:
                assert repository.transition_study(made.id, start, new).state == new
                assert len(repository.events(made.id)) == len(events) + 1
            else:
                with pytest.raises(IllegalTransition, match=f"from '{start}' to '{new}'"):
                    repository.transition_study(made.id, start, new)
                assert (repository.study(made.id), repository.events(made.id)) == (made, events)

    def test_a_complete_study_is_final(self, repository: Repository) -> None:
        assert STUDY_TRANSITIONS["complete"] == ()
        assert {state for state in STUDY_TRANSITIONS if "running" in STUDY_TRANSITIONS[state]} == {
            "created",
            "interrupted",
            "failed",
        }

    def test_an_unknown_state_is_refused(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(IllegalTransition, match="'done' is no state of a study; the states are: created, "):
            repository.transition_study(study.id, "done", "running")
        with pytest.raises(IllegalTransition, match="cannot go from 'created' to 'done'"):
            repository.transition_study(study.id, "created", "done")

    def test_who_expects_another_state_changes_nothing(self, repository: Repository, study: StudyRecord) -> None:
        repository.transition_study(study.id, "created", "running")
        events = repository.events(study.id)
        with pytest.raises(StaleTransition, match="'digits' is 'running', not 'created'"):
            repository.transition_study(study.id, "created", "running")
        assert repository.events(study.id) == events

    def test_an_unknown_study_is_not_found(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(StudyNotFound, match="no study 'nobody'"):
            repository.transition_study("nobody", "created", "running")
        with pytest.raises(StudyNotFound):  # only a whole id names what is to change
            repository.transition_study(study.short_id, "created", "running")

    def test_times_reason_and_event(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        running = repository.transition_study(study.id, "created", "running")
        assert (running.updated_at, running.finished_at, running.reason) == (clock.time, None, None)
        failed = repository.transition_study(study.id, "running", "failed", "loss is not finite\udcff\x00")
        assert (failed.updated_at, failed.finished_at) == (clock.time, clock.time)
        assert failed.reason == "loss is not finite\\udcff\\x00"
        assert failed == repository.study("digits")
        again = repository.transition_study(study.id, "failed", "running")
        assert (again.finished_at, again.reason) == (None, None)
        assert [(event.sequence, event.kind, dict(event.payload)) for event in repository.events(study.id)] == [
            (1, "study.created", {"name": "digits"}),
            (2, "study.state", {"from": "created", "to": "running", "reason": None}),
            (3, "study.state", {"from": "running", "to": "failed", "reason": failed.reason}),
            (4, "study.state", {"from": "failed", "to": "running", "reason": None}),
        ]
        assert repository.events(study.id)[3].time == clock.time

    def test_the_database_itself_refuses_an_unknown_state(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(IntegrityError, match="ck_study_state"), repository._engine.begin() as connection:
            connection.execute(text("UPDATE study SET state = 'done'"))


class TestDeletion:
    def test_everything_about_the_study_goes_and_nothing_else(self, repository: Repository, study: StudyRecord) -> None:
        repository.ensure_device("laptop", name="laptop", description={})
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0, stages=("train",))
        for each in (study, other):
            repository.record_evaluation(each.id, an_evaluation())
            repository.record_measurement(each.id, a_measurement())
            repository.record_artifact(each.id, an_artifact())
            repository.reserve(each.id, a_reservation("under way"), owner="me", lease_seconds=60, budget=None)
            repository.create_job(each.id, "export", {})
        last = repository.evaluations(other.id)[0].id
        repository.delete_study(study.id)
        with repository._engine.connect() as connection:
            counts = {
                table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in (
                    "study",
                    "stage",
                    "evaluation",
                    "value",
                    "measurement",
                    "artifact",
                    "reservation",
                    "event",
                    "job",
                    "device",
                )
            }
        assert counts == {
            "study": 1,
            "stage": 1,
            "evaluation": 1,
            "value": 3,
            "measurement": 1,
            "artifact": 1,
            "reservation": 1,
            "event": 2,
            "job": 1,
            "device": 1,
        }
        assert repository.studies() == (other,)
        # A number that somebody may still hold does not come back as another evaluation.
        repository.delete_study(other.id)
        new = repository.create_study(name="digits", spec="{}", spec_digest="d", seed=0)
        assert repository.record_evaluation(new.id, an_evaluation())[0].id > last
        with pytest.raises(NotRecorded, match=f"no evaluation with id {last}"):
            repository.add_value(last, ValueRecord(metric="m", value=1.0, provenance="computed"))

    def test_who_still_runs_a_deleted_study_is_told(self, repository: Repository, study: StudyRecord) -> None:
        repository.delete_study(study.id)
        for call in (
            lambda: repository.delete_study(study.id),
            lambda: repository.record_evaluation(study.id, an_evaluation()),
            lambda: repository.add_event(study.id, "note"),
            lambda: repository.record_artifact(study.id, an_artifact()),
            lambda: repository.record_measurement(study.id, a_measurement()),
            lambda: repository.evaluations(study.id),
            lambda: repository.events(study.id),
            lambda: repository.artifacts(study.id),
            lambda: repository.measurements(study.id),
            lambda: repository.reserve(study.id, a_reservation(), owner="me", lease_seconds=60, budget=None),
            lambda: repository.renew(study.id, "me", 60),
            lambda: repository.take_over(study.id, "me"),
            lambda: repository.settle(study.id, "me", 1, an_evaluation()),
            lambda: repository.release(study.id, "me"),
            lambda: repository.reservations(study.id),
            lambda: repository.jobs(study.id),
            lambda: repository.create_job(study.id, "export", {}),
            lambda: repository.edit_study(study.id, 1, notes="n"),
            lambda: repository.set_desired_state(study.id, "stopped", "me"),
        ):
            with pytest.raises(StudyNotFound, match=study.id):
                call()


class TestEvents:
    def test_they_count_from_one_without_gaps_for_each_study(self, repository: Repository, study: StudyRecord) -> None:
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
        for number in range(3):
            repository.add_event(study.id, "note", {"number": number})
            repository.add_event(other.id, "note")
        assert [event.sequence for event in repository.events(study.id)] == [1, 2, 3, 4]
        assert [event.sequence for event in repository.events(other.id)] == [1, 2, 3, 4]

    def test_a_reader_gets_what_came_after(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        made = repository.add_event(study.id, "note", {"text": "café"})
        assert (made.sequence, made.time, made.study_id) == (2, clock.time, study.id)
        assert repository.events(study.id, after=1) == (made,)
        assert repository.events(study.id, after=2) == ()
