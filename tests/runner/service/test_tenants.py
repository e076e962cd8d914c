"""What belongs to others does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.store import NewArtifact
from tests.runner.service.callers import ADMIN, ANNA, BORIS
from tests.runner.service.requests_for import SPEC, operations

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from runner.store import Repository


@pytest.fixture
def hers(stranger: TestClient, repository: Repository) -> dict[str, str]:
    """The ids of a study, a job and a file of Anna."""
    made = stranger.post("/api/v1/studies", json={"spec": {**SPEC, "name": "hers"}}, headers=ANNA.headers).json()
    job = stranger.post(f"/api/v1/studies/{made['id']}/jobs", json={"kind": "export"}, headers=ANNA.headers).json()
    artifact, _ = repository.record_artifact(
        made["id"], NewArtifact(sha256="0" * 64, kind="bundle", bytes=3, uri=f"sha256:{'0' * 64}")
    )
    return {"study": made["id"], "job": job["id"], "artifact": artifact.id, "digest": "knee", "token": ANNA.record.id}


def content(repository: Repository) -> Any:
    return [
        (study.name, study.owner, study.desired_state, study.notes, len(repository.jobs(study.id)))
        for study in sorted(repository.studies(), key=lambda study: study.id)
        if study.owner == "anna"
    ]


def test_every_route_hides_what_is_another_s(
    stranger: TestClient, service: FastAPI, repository: Repository, hers: dict[str, str]
) -> None:
    before = content(repository)
    asked = [each for each in operations(service) if "{" in each.path and "/tokens" not in each.path]
    assert len(asked) > 12
    for operation in asked:
        for values in (hers, {**hers, "study": "hers"}, {**hers, "study": hers["study"][:8]}):
            answer = stranger.request(
                operation.method, operation.at(values), json=operation.body, headers=BORIS.headers
            )
            assert answer.status_code == 404, (operation, answer.text)
            assert "hers" not in answer.text.replace(operation.at(values), "")
    for page in ("", "/front.svg", "/fidelity.svg"):
        assert stranger.get(f"/studies/{hers['study']}{page}", headers=BORIS.headers).status_code == 404
    assert content(repository) == before


def test_lists_hold_one_s_own_alone(stranger: TestClient, hers: dict[str, str]) -> None:
    for caller, count in ((BORIS, 0), (ANNA, 1), (ADMIN, 1)):
        assert len(stranger.get("/api/v1/studies", headers=caller.headers).json()["items"]) == count
    assert stranger.get(f"/api/v1/jobs/{hers['job']}", headers=ANNA.headers).status_code == 200
    assert "hers" not in stranger.get("/", headers=BORIS.headers).text
    for caller, status in ((BORIS, 404), (ANNA, 200), (ADMIN, 200)):
        assert stranger.get(f"/studies/{hers['study']}", headers=caller.headers).status_code == status


def test_a_study_named_like_another_s_id_opens_nothing(
    stranger: TestClient, repository: Repository, hers: dict[str, str]
) -> None:
    repository.create_study(name=hers["study"], spec="{}", spec_digest="d", seed=0, owner="boris")
    for path in (f"/api/v1/jobs/{hers['job']}", f"/api/v1/artifacts/{hers['artifact']}"):
        assert stranger.get(path, headers=BORIS.headers).status_code == 404
    answer = stranger.post("/api/v1/studies", json={"spec": {**SPEC, "name": hers["study"]}}, headers=BORIS.headers)
    assert answer.status_code == 422


def test_an_administrator_s_own_study_comes_first(stranger: TestClient, hers: dict[str, str]) -> None:
    for caller in (ADMIN, BORIS):
        stranger.post("/api/v1/studies", json={"spec": {**SPEC, "name": "hers"}}, headers=caller.headers)
    assert stranger.get("/api/v1/studies/hers", headers=ADMIN.headers).json()["owner"] == "local"
    assert stranger.get(f"/api/v1/studies/{hers['study']}", headers=ADMIN.headers).json()["owner"] == "anna"


def test_nobody_learns_what_a_worker_does_for_another(
    stranger: TestClient, repository: Repository, hers: dict[str, str]
) -> None:
    from runner.store import WorkerRecord
    from tests.runner.service.callers import BEGUN

    repository.register_worker(
        WorkerRecord(id="w1", name="w", version="1", host="h", pid=1, started_at=BEGUN, seen_at=BEGUN)
    )
    repository.seen_worker("w1", hers["study"])
    for caller, study in ((ANNA, hers["study"]), (ADMIN, hers["study"]), (BORIS, None)):
        (worker,) = stranger.get("/api/v1/workers", headers=caller.headers).json()["items"]
        assert worker["study_id"] == study
        assert "pid" not in worker
