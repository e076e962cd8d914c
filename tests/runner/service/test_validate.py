"""A study that is tried before it is sent: the answer is what submitting it would say, and nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from runner.study import StudySpec, load_study, read_value, write_study
from tests.runner.service.callers import ANNA, BORIS, READER
from tests.runner.service.requests_for import SPEC
from tests.runner.service.test_submissions import PATHS, ROOT

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.store import Repository

VALIDATE = "/api/v1/studies/validate"
YAML = {"content-type": "application/yaml"}


def tried(client: TestClient, spec: Any) -> dict[str, Any]:
    answer = client.post(VALIDATE, json={"spec": spec})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_good_study_is_told_back_with_every_default(client: TestClient, repository: Repository) -> None:
    found = tried(client, SPEC)
    assert (found["valid"], found["code"], found["errors"]) == (True, None, [])
    assert found["spec"] == StudySpec.model_validate(SPEC).model_dump(mode="json")
    assert yaml.safe_load(found["yaml"]) == SPEC
    narrow = tried(client, {**SPEC, "space": {"name": "vision_transformer", "choices": {"depth": 2, "width": [32]}}})
    assert 0 < int(narrow["architectures"]) < int(found["architectures"])
    assert repository.studies() == ()


def test_the_file_is_tidy(client: TestClient) -> None:
    given = {
        "seed": 3,
        "objectives": {"error": {"at_most": 0.1, "goal": "minimize"}},
        "space": {"choices": {"width": [32, 48], "depth": [2]}, "name": "vision_transformer"},
        "task": {"name": "digits"},
        "name": "tidy",
    }
    text = tried(client, given)["yaml"]
    assert text.splitlines() == [
        "name: tidy",
        "task: {name: digits}",
        "space:",
        "  name: vision_transformer",
        "  choices:",
        "    width: [32, 48]",
        "    depth: [2]",
        "objectives:",
        "  error: {at_most: 0.1, goal: minimize}",
        "seed: 3",
    ]


def test_the_example_means_the_same_when_it_comes_back(client: TestClient) -> None:
    path = ROOT / "examples" / "digits.yaml"
    found = client.post(VALIDATE, content=path.read_bytes(), headers=YAML).json()
    assert found["valid"]
    again = client.post(VALIDATE, content=found["yaml"].encode(), headers=YAML).json()
    assert again["spec"] == found["spec"] == load_study(path).model_dump(mode="json")
    assert again["yaml"] == found["yaml"]


@example({"\x85": "a\u2028b", "c": ["\u2029 \x85", "\n", "\r", "\ufeff"]})
@given(st.recursive(
    st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda each: st.lists(each, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), each, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_whatever_is_written_reads_back_the_same(document: object) -> None:
    assert read_value(write_study(document), "a test") == document


@pytest.mark.parametrize(
    "part",
    [
        {"name": "../up"},
        {"task": {"name": "digitz"}},
        {"space": {"name": "vision_transformer", "choices": {"unheard": [1]}}},
        {"search": {"algorithm": "magic"}},
        {"export": {"formats": ["pickle"]}},
        {"retrain": {"points": ["nowhere"]}},
        {"objectives": {}},
        {"unheard": "of"},
        {"seed": -1},
        {"task": {"name": "images", "data": "/etc/passwd"}},
        {"task": {"name": "digits", "cache": "/tmp"}},
        {"train": {"pretrained": "unregistered"}},
    ],
)
def test_what_submitting_refuses_is_not_valid_with_the_same_words(
    client: TestClient, repository: Repository, part: dict[str, Any]
) -> None:
    given = {**SPEC, **part}
    refused = client.post("/api/v1/studies", json={"spec": given})
    assert 400 <= refused.status_code < 500
    found = tried(client, given)
    assert (found["valid"], found["code"]) == (False, refused.json()["code"])
    assert found["errors"] == refused.json()["errors"]
    assert (found["spec"], found["architectures"]) == (None, None)
    assert yaml.safe_load(found["yaml"]) == given  # so that it can be mended
    assert repository.studies() == ()


def test_no_path_is_accepted(client: TestClient) -> None:
    for path in PATHS:
        assert tried(client, {**SPEC, "train": {"teacher": path}})["code"] == "path_refused"


@pytest.mark.parametrize("text", ["a: [", "a: &x 1\nb: *x", "a: 1\na: 2", "!!python/object:os.system {}", "d: .nan"])
def test_broken_yaml_is_not_valid(client: TestClient, text: str) -> None:
    answer = client.post(VALIDATE, content=text, headers=YAML)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["valid"], found["code"], found["yaml"]) == (False, "bad_yaml", None)
    assert found["errors"][0]["message"]


def test_the_limits_are_those_of_submitting(client: TestClient) -> None:
    answer = client.post(VALIDATE, content="name: " + "a" * 70_000, headers=YAML)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    deep: Any = 1
    for _ in range(30):
        deep = {"a": deep}
    assert client.post(VALIDATE, json={"spec": deep}).status_code == 422
    assert client.post(VALIDATE, content=str(deep).replace("'", ""), headers=YAML).json()["code"] == "invalid"
    assert client.post(VALIDATE, json=SPEC).status_code == 422  # not in "spec"


def test_a_name_that_is_taken_is_found_by_its_owner_alone(stranger: TestClient) -> None:
    assert stranger.post("/api/v1/studies", json={"spec": SPEC}, headers=ANNA.headers).status_code == 201
    found = stranger.post(VALIDATE, json={"spec": SPEC}, headers=ANNA.headers).json()
    assert (found["valid"], found["code"], found["errors"][0]["pointer"]) == (False, "study_exists", "/name")
    assert stranger.post(VALIDATE, json={"spec": SPEC}, headers=BORIS.headers).json()["valid"]


def test_who_may_not_submit_may_not_try(stranger: TestClient) -> None:
    assert stranger.post(VALIDATE, json={"spec": SPEC}, headers=READER.headers).status_code == 403
