from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.store import IllegalTransition, InvalidRecord, NotRecorded, StaleTransition, StudyNotFound
from runner.store.records import STAGE_STATES
from runner.store.transitions import STAGE_TRANSITIONS

if TYPE_CHECKING:
    from runner.store import Repository, StudyRecord
    from tests.runner.store.conftest import Clock

# The shortest way to each state from a new stage.
WAYS_OF_STAGES = {
    "pending": (),
    "running": ("running",),
    "complete": ("running", "complete"),
    "failed": ("running", "failed"),
}


class TestStages:
    def test_stages_are_made_with_the_study_in_order(self, repository: Repository, study: StudyRecord) -> None:
        stages = repository.stages(study.id)
        assert [(stage.name, stage.position, stage.state) for stage in stages] == [
            ("train", 0, "pending"),
            ("profile", 1, "pending"),
        ]
        assert [(dict(stage.detail), stage.started_at, stage.finished_at) for stage in stages] == [({}, None, None)] * 2

    def test_only_missing_stages_are_added(self, repository: Repository, study: StudyRecord) -> None:
        repository.transition_stage(study.id, "train", "pending", "running")
        stages = repository.ensure_stages(study.id, ("profile", "search", "train", "search"))
        assert [(stage.name, stage.position, stage.state) for stage in stages] == [
            ("train", 0, "running"),
            ("profile", 1, "pending"),
            ("search", 2, "pending"),
        ]
        assert repository.stages(study.id) == stages

    @pytest.mark.parametrize("start", STAGE_STATES)
    def test_every_pair_of_states(self, repository: Repository, study: StudyRecord, start: str) -> None:
        for new in STAGE_STATES:
            name, state = f"to-{new}", "pending"
            repository.ensure_stages(study.id, (name,))
            for following in WAYS_OF_STAGES[start]:
                state = repository.transition_stage(study.id, name, state, following).state
            before, events = repository.stages(study.id), repository.events(study.id)
            if new in STAGE_TRANSITIONS[start]:
                assert repository.transition_stage(study.id, name, start, new).state == new
                told = {"stage": name, "from": start, "to": new}
                assert dict(repository.events(study.id)[-1].payload) == told
            else:
                with pytest.raises(IllegalTransition, match=f"from '{start}' to '{new}'"):
                    repository.transition_stage(study.id, name, start, new)
                assert (repository.stages(study.id), repository.events(study.id)) == (before, events)

    def test_who_expects_another_state_changes_nothing(self, repository: Repository, study: StudyRecord) -> None:
        repository.transition_stage(study.id, "train", "pending", "running")
        before, events = repository.stages(study.id), repository.events(study.id)
        with pytest.raises(StaleTransition, match="the stage 'train' is 'running', not 'pending'"):
            repository.transition_stage(study.id, "train", "pending", "running", {"lost": True})
        assert (repository.stages(study.id), repository.events(study.id)) == (before, events)

    def test_times_and_detail(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        started = repository.transition_stage(study.id, "train", "pending", "running")
        assert (started.started_at, started.finished_at) == (clock.time, None)
        repository.set_stage_detail(study.id, "train", {"checkpoint": "step-100"})
        back = repository.transition_stage(study.id, "train", "running", "pending")
        assert (dict(back.detail), back.finished_at) == ({"checkpoint": "step-100"}, None)
        again = repository.transition_stage(study.id, "train", "pending", "running")
        assert again.started_at == clock.time
        done = repository.transition_stage(study.id, "train", "running", "complete", {"steps": 200})
        assert (dict(done.detail), done.started_at, done.finished_at) == (
            {"steps": 200},
            again.started_at,
            clock.time,
        )
        assert repository.stages(study.id)[0] == done
        assert repository.study("digits").updated_at == clock.time

    def test_only_a_running_stage_takes_a_detail(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(StaleTransition, match="'train' is 'pending', not 'running'"):
            repository.set_stage_detail(study.id, "train", {})

    def test_a_detail_must_be_json(self, repository: Repository, study: StudyRecord) -> None:
        repository.transition_stage(study.id, "train", "pending", "running")
        for detail in ({"loss": float("nan")}, {"path": object()}):
            with pytest.raises(InvalidRecord, match="cannot be recorded"):
                repository.set_stage_detail(study.id, "train", detail)

    def test_an_unknown_stage_or_study_is_named(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(NotRecorded, match="no stage 'trian'; its stages: train, profile"):
            repository.transition_stage(study.id, "trian", "pending", "running")
        with pytest.raises(StudyNotFound):
            repository.transition_stage("nobody", "train", "pending", "running")
        with pytest.raises(StudyNotFound):
            repository.stages("nobody")
        with pytest.raises(StudyNotFound):
            repository.ensure_stages("nobody", ("train",))
