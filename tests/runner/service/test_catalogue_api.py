"""What there is to choose from: everything named exists, and everything that exists is named."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from runner.search.registry import algorithm_names
from runner.service.metric_words import FAMILY_COSTS, LATENCIES
from runner.study import COMPUTED, TrainSpec, goal_of
from search_spaces import space_names
from supernet.export.formats.registry import format_names
from supernet.models.registry import family_names, load_family
from tests.runner.service.callers import ANNA, READER

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ROOT = Path(__file__).parents[3]


def test_the_catalogue_names_what_exists(client: TestClient) -> None:
    document = client.get("/api/v1/catalogue").json()
    assert sorted(each["name"] for each in document["algorithms"]) == sorted(algorithm_names())
    assert [each["name"] for each in document["formats"]] == list(format_names())
    recipes = TrainSpec.model_json_schema()["properties"]["recipe"]["enum"]
    assert [each["name"] for each in document["recipes"]] == recipes
    assert [each["metric"] for each in document["costs"]][: len(COMPUTED)] == list(COMPUTED)
    for each in (*document["costs"], *document["latencies"]):
        assert each["goal"] == goal_of(each["metric"])
        assert each["label"]
        assert each["unit"]
    assert all(each["about"] for what in ("algorithms", "formats", "recipes", "examples") for each in document[what])


def test_costs_and_latencies_are_those_of_the_families() -> None:
    assert set(family_names()) == set(space_names())
    for metrics, of in ((FAMILY_COSTS, "costs"), (LATENCIES, "latencies")):
        own = {name: set(getattr(load_family(name), of)) for name in family_names()}
        assert set(metrics) == set.union(*own.values())
        for metric, families in metrics.items():
            assert sorted(families) == sorted(name for name, found in own.items() if metric in found)


def test_the_example_is_the_repository_s_and_can_be_submitted(client: TestClient) -> None:
    (example,) = client.get("/api/v1/catalogue").json()["examples"]
    assert example["yaml"] == (ROOT / "examples" / "digits.yaml").read_text(encoding="utf-8")
    assert (ROOT / "examples" / "digits.yaml").is_symlink()
    assert (
        Path(str(files("runner") / "examples" / "digits.yaml")).resolve()
        == (ROOT / "examples" / "digits.yaml").resolve()
    )
    assert yaml.safe_load(example["yaml"])["name"] == example["name"] == "digits"
    headers = {"content-type": "application/yaml"}
    assert client.post("/api/v1/studies", content=example["yaml"], headers=headers).status_code == 201


def test_a_wheel_would_hold_the_example_and_every_part_of_the_pages() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["runner"]
    held = {path for pattern in patterns for path in (ROOT / "runner").glob(pattern)}
    assert ROOT / "runner" / "examples" / "digits.yaml" in held
    for part in ("static", "templates"):
        parts = {path for path in (ROOT / "runner" / "dashboard" / part).rglob("*") if path.is_file()}
        assert parts
        assert parts <= held


def test_a_session_says_who_asks(stranger: TestClient) -> None:
    found = stranger.get("/api/v1/session", headers=ANNA.headers).json()
    assert found == {"owner": "anna", "scopes": ["read", "submit"], "version": version("supernaut")}
    assert stranger.get("/api/v1/session", headers=READER.headers).json()["scopes"] == ["read"]
    assert stranger.get("/api/v1/session").status_code == 401


def test_tasks_say_what_they_measure_and_what_fits_them(client: TestClient) -> None:
    found = {each["name"]: each for each in client.get("/api/v1/tasks").json()["items"]}
    assert found["digits"]["metrics"][0] == {
        "metric": "error",
        "label": "error",
        "unit": "fraction",
        "goal": "minimize",
    }
    assert {each["metric"]: each["goal"] for each in found["audio"]["metrics"]}["accuracy"] == "maximize"
    assert found["digits"]["families"] == ["convnet", "vision_transformer"]
    assert {name: task["data"] for name, task in found.items()} == {
        "digits": None,
        "mqar": None,
        "text": "possible",
        "labelled_text": "needed",
        "images": "needed",
        "audio": "needed",
    }
