"""How far a study is, while it goes through its stages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runner.store import open_repository
from tests.runner.service.callers import BEGUN
from tests.runner.service.studies import STAGES, create_study, record_failure, record_fidelity, record_search

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

    from runner.store import Repository


def progress(client: TestClient) -> dict[str, Any]:
    """In the list and alone it is the same."""
    alone = client.get("/api/v1/studies/digits").json()
    (listed,) = client.get("/api/v1/studies").json()["items"]
    assert alone["progress"] == listed["progress"]
    assert (alone["task"], alone["space"]) == (listed["task"], listed["space"]) == ("digits", "vision_transformer")
    found: dict[str, Any] = alone["progress"]
    return found


def test_a_study_on_its_way(client: TestClient, repository: Repository) -> None:
    study = create_study(repository)
    idle = {"stage": None, "position": 0, "stages": 6, "done": None, "total": None, "budget": 120}
    assert progress(client) == idle
    repository.transition_study(study.id, "created", "running")
    repository.transition_stage(study.id, "train", "pending", "running")
    at_train = {**idle, "stage": "train", "position": 1, "total": 1500}
    assert progress(client) == {**at_train, "done": 0}
    repository.add_event(study.id, "train.health", {"step": 200, "largest": 0.5})
    assert progress(client) == {**at_train, "done": 200}
    repository.add_event(study.id, "stage.progress", {"stage": "train", "done": 260, "total": 1500, "detail": ""})
    assert progress(client) == {**at_train, "done": 260}
    repository.transition_stage(study.id, "train", "running", "complete")
    assert progress(client) == {**idle, "position": 1}
    repository.transition_stage(study.id, "profile", "pending", "running")
    record_search(repository, study, 5)
    assert progress(client) == {**idle, "stage": "profile", "position": 2, "done": 5, "total": 24}
    repository.transition_stage(study.id, "profile", "running", "complete")
    repository.transition_stage(study.id, "search", "pending", "running")
    record_failure(repository, study, "loss is nan")
    record_fidelity(repository, study)  # trained alone: no evaluation of the search
    assert progress(client) == {**idle, "stage": "search", "position": 3, "done": 6, "total": 120}
    repository.transition_stage(study.id, "search", "running", "failed", {"reason": "no memory"})
    assert progress(client) == {**idle, "stage": "search", "position": 3}


def test_what_was_told_of_an_earlier_attempt_does_not_count(
    client: TestClient, repository: Repository, database: Path
) -> None:
    study = create_study(repository)
    repository.transition_study(study.id, "created", "running")
    repository.add_event(study.id, "stage.progress", {"stage": "retrain", "done": 9, "total": 10, "detail": ""})
    with open_repository(database, now=lambda: BEGUN + timedelta(minutes=5)) as later:
        for name in STAGES[:5]:
            later.transition_stage(study.id, name, "pending", "running")
            if name != "retrain":
                later.transition_stage(study.id, name, "running", "complete")
        assert progress(client)["done"] is None
        later.add_event(study.id, "stage.progress", {"stage": "retrain", "done": 3, "total": 10, "detail": ""})
    assert (progress(client)["done"], progress(client)["total"]) == (3, 10)


def test_a_complete_study_has_all_behind_it(client: TestClient, digits: Repository) -> None:
    del digits
    assert progress(client) == {
        "stage": None, "position": 6, "stages": 6, "done": None, "total": None, "budget": 120,
    }  # fmt: skip


def test_a_study_of_another_version_has_stages_alone(client: TestClient, repository: Repository) -> None:
    repository.create_study(name="elsewhere", spec='{"unheard": "of"}', spec_digest="d", seed=0, stages=STAGES)
    document = client.get("/api/v1/studies/elsewhere").json()
    assert document["progress"]["budget"] is None
    assert document["progress"]["stages"] == 6
    assert (document["task"], document["space"]) == (None, None)
