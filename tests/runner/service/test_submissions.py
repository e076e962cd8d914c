"""Studies that are sent: what is checked before a worker sees them, and that none of it is ever a path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from runner.pipeline import STAGES
from runner.registered.ledger import add_data
from runner.service.submissions import is_point
from runner.stages import STAGE_NAMES
from runner.study import load_study
from tests.runner.service.callers import ANNA, BORIS
from tests.runner.service.requests_for import SPEC

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.settings import Home
    from runner.store import Repository

ROOT = Path(__file__).parents[3]
PATHS = [
    "/etc/passwd", "../../etc/passwd", "..", ".", "~/data", "data/images", "C:\\data", "..\\..", "file:///etc/passwd",
    "http://127.0.0.1/", "s3://bucket/key", "gs://b", "\\\\host\\share", "a b", "", "%2e%2e%2f", "a\u2215b", "\u2025",
]  # fmt: skip


def submit(client: TestClient, spec: Any, **headers: str) -> Any:
    return client.post("/api/v1/studies", json={"spec": spec}, headers=headers)


def test_a_study_is_recorded_for_workers(client: TestClient, repository: Repository) -> None:
    answer = submit(client, SPEC)
    assert answer.status_code == 201
    study = repository.study("new")
    assert answer.headers["location"] == f"/api/v1/studies/{study.id}"
    assert client.get(answer.headers["location"]).json() == answer.json()
    assert (study.owner, study.state, study.desired_state) == ("local", "created", "running")
    assert [stage.name for stage in repository.stages(study.id)] == [name for name, _ in STAGES] == list(STAGE_NAMES)
    assert json.loads(study.spec)["train"]["steps"] == 1500


def test_every_example_is_accepted_as_yaml_and_means_the_same(client: TestClient, repository: Repository) -> None:
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        spec = load_study(path)
        answer = client.post("/api/v1/studies", content=path.read_bytes(), headers={"content-type": "application/yaml"})
        if answer.status_code == 422:  # it names what is not registered here
            assert all(error["message"].startswith("no such ") for error in answer.json()["errors"])
            continue
        assert answer.status_code == 201, answer.text
        assert repository.study(spec.name).spec_digest == spec.digest
    assert len(repository.studies()) > 1


def test_a_path_is_refused_wherever_a_file_is_named(client: TestClient, repository: Repository) -> None:
    for path in PATHS:
        for part in (
            {"task": {"name": "images", "data": path}},
            {"train": {"pretrained": path}},
            {"train": {"teacher": path}},
            {"retrain": {"teacher": path}},
        ):
            answer = submit(client, {**SPEC, **part})
            assert (answer.status_code, answer.json()["code"]) == (422, "path_refused"), part
        assert repository.studies() == ()


def test_what_no_worker_could_run_is_refused(client: TestClient, repository: Repository) -> None:
    for part in [
        {"task": {"name": "images", "data": ["/etc/passwd"]}},
        {"task": {"name": "images", "data": {"path": "/etc/passwd"}}},
        {"task": {"name": "images", "data": 1}},
        {"task": {"name": "images", "data": "unregistered"}},
        {"task": {"name": "images", "data": "a", "cache": "/tmp"}},
        {"train": {"pretrained": "unregistered"}},
        {"train": {"teacher": ["/etc/passwd"]}},
        {"retrain": {"teacher": "unregistered"}},
        {"task": {"name": "os:system"}},
        {"task": {"name": "../digits"}},
        {"space": {"name": "runner.cli:main"}},
        {"space": {"name": "vision_transformer", "choices": {"depth": ["2"]}}},
        {"space": {"name": "vision_transformer", "choices": {"depth": list(range(1, 200))}}},
        {"space": {"name": "vision_transformer", "choices": {"unheard": [1]}}},
        {"search": {"algorithm": "__import__"}},
        {"export": {"formats": ["pickle"]}},
        {"retrain": {"points": ["../../x"]}},
        {"name": "a" * 65},
        {"name": "../up"},
        {"name": "a" * 10_000_00},
        {"name": "0123456789abcdef0123456789abcdef"},
        {"name": "\u202e"},
        {"unheard": "of"},
        {"objectives": {}},
        {"objectives": {f"m{index}": {} for index in range(7)}},
        {"seed": -1},
        {"seed": 2**63},
    ]:
        answer = submit(client, {**SPEC, **part})
        assert answer.status_code in (413, 422), answer.text
        assert repository.studies() == ()


def test_registered_data_is_named(client: TestClient, home: Home, tmp_path: Path, repository: Repository) -> None:
    add_data(home, "mine", tmp_path)
    answer = submit(client, {**SPEC, "task": {"name": "images", "data": "mine"}})
    assert answer.status_code == 201, answer.text
    assert str(tmp_path) not in answer.text + repository.study("new").spec
    near = submit(client, {**SPEC, "name": "b", "task": {"name": "images", "data": "mone"}}).json()
    assert near["errors"] == [
        {"pointer": "/task/data", "message": "no such registered data; did you mean 'mine'? known: mine"}
    ]


def test_a_name_is_taken_once_by_each_owner(client: TestClient, repository: Repository) -> None:
    for caller in (ANNA, BORIS):
        assert submit(client, SPEC, **caller.headers).status_code == 201
        answer = submit(client, SPEC, **caller.headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "study_exists")
    assert {study.owner for study in repository.studies()} == {"anna", "boris"}


def test_yaml_and_json_of_one_study_are_the_same(client: TestClient, repository: Repository) -> None:
    text = yaml.safe_dump(SPEC)
    headers = {"content-type": "text/yaml; charset=utf-8"}
    assert client.post("/api/v1/studies", content=text.encode(), headers=headers).status_code == 201
    submit(client, {**SPEC, "name": "other"})
    assert repository.study("new").spec_digest == repository.study("other").spec_digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [("knee", True), ("ends", True), ("abcd", True), ("abc", False), ("ABCD", False), ("../x", False), ("", False)],
)
def test_points(text: str, expected: bool) -> None:
    assert is_point(text) is expected
