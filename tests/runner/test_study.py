"""The specification: defaults, limits, and errors that name the field and the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.errors import NotFound, SpecError
from runner.study import StudySpec, load_study, parse_study

ROOT = Path(__file__).parents[2]

LEAST: dict[str, Any] = {
    "name": "a",
    "task": {"name": "digits"},
    "space": {"name": "vision_transformer"},
    "objectives": {"error": {}},
}


def spec(**changes: Any) -> StudySpec:
    return parse_study({**LEAST, **changes}, "test")


def refusal(**changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        spec(**changes)
    return str(caught.value)


def test_the_example_is_valid() -> None:
    study = load_study(ROOT / "examples" / "digits.yaml")
    assert list(study.objectives) == ["error", "latency_ms", "model_bytes"]
    assert list(study.latencies) == ["latency_ms"]
    assert study.latencies["latency_ms"].threads == 1


def test_the_design_s_study_file_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        """
name: digits
task: {name: digits}
space: {name: vision_transformer, choices: {depth: [2, 3, 4]}}
objectives:
  error: {goal: minimize}
  latency_ms: {goal: minimize, at_most: 2.0, device: this-machine, batch: 1, threads: 1}
  model_bytes: {goal: minimize}
train: {steps: 1500, batch: 128, recipe: sandwich}
search: {algorithm: surrogate, evaluations: 120, measured_latencies: 24, workers: auto}
retrain: {points: [knee], steps: 600}
export: {formats: [onnx]}
seed: 0
"""
    )
    study = load_study(path)
    assert study.bounds == {"latency_ms": (None, 2.0)}
    assert study.goals == {"error": "minimize", "latency_ms": "minimize", "model_bytes": "minimize"}


def test_what_is_left_out_has_defaults() -> None:
    study = spec()
    assert study.seed == 0
    assert study.retrain.points == ["knee"]
    assert study.bounds == {}


def test_accuracy_is_better_when_larger() -> None:
    assert spec(objectives={"accuracy": {}}).goals == {"accuracy": "maximize"}


def test_json_round_trip_keeps_the_digest() -> None:
    study = spec(objectives={"error": {}, "latency_ms": {"at_most": 1.5}}, task={"name": "digits"})
    again = StudySpec.model_validate_json(study.model_dump_json())
    assert again == study
    assert again.digest == study.digest


def test_the_digest_ignores_the_name_and_nothing_else() -> None:
    assert spec(name="b").digest == spec().digest
    assert spec(seed=1).digest != spec().digest
    assert spec(train={"steps": 7}).digest != spec().digest
    assert spec(objectives={"error": {"at_most": 0.5}}).digest != spec().digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objectivs": {}}, ["objectivs", "no such field", "objectives"]),
        ({"train": {"step": 3}}, ["train.step", "did you mean 'steps'", "batch"]),
        ({"objectives": {"error": {"at_mots": 1}}}, ["objectives.error.at_mots", "at_most"]),
        ({"objectives": {}}, ["objectives", "at least 1"]),
        ({"objectives": {f"m{i}": {} for i in range(7)}}, ["objectives", "at most 6"]),
        ({"objectives": {"error": {"goal": "smaller"}}}, ["objectives.error.goal", "minimize", "smaller"]),
        ({"objectives": {"error": {"at_least": 2, "at_most": 1}}}, ["objectives.error", "swap"]),
        ({"objectives": {"error": {"at_most": float("nan")}}}, ["objectives.error.at_most", "finite"]),
        ({"objectives": {"latency_ms": {"device": "phone"}}}, ["device", "this-machine", "phone"]),
        ({"train": {"steps": -1}}, ["train.steps", "greater than or equal to 0", "-1"]),
        ({"train": {"steps": 0}}, ["train.steps", "train.pretrained"]),
        ({"train": {"order": "magnitude"}}, ["train.order", "train.pretrained"]),
        ({"train": {"pretrained": "a", "order": "size"}}, ["train.order", "gradient", "size"]),
        ({"train": {"pretrained": "a", "order_layers": True}}, ["train.order_layers", "give train.order"]),
        ({"train": {"pretrained": "a", "steps": 0, "teacher": "b"}}, ["train.teacher", "train.steps 0"]),
        ({"train": {"pretrained": "a", "steps": 0, "ranks": 2}}, ["train.ranks", "train.steps 0"]),
        ({"train": {"pretrained": "../a"}}, ["train.pretrained", "letters"]),
        ({"train": {"steps": "many"}}, ["train.steps", "integer", "many"]),
        ({"train": {"recipe": "magic"}}, ["train.recipe", "sandwich", "magic"]),
        (
            {"search": {"workers": 0}},
            ["search.workers: input should be 'auto', 'serial' or a whole number from 1 to 4096, got 0."],
        ),
        ({"search": {"workers": "all"}}, ["search.workers", "auto", "serial", "all"]),
        ({"search": {"workers": 1.5}}, ["search.workers", "1.5"]),
        ({"search": {"workers": True}}, ["search.workers", "True"]),
        ({"search": {"time_limit_s": 0}}, ["search.time_limit_s", "greater than 0"]),
        ({"train": {"precision": "fp16"}}, ["train.precision", "bf16", "fp16"]),
        ({"search": {"evaluations": 10, "measured_latencies": 20}}, ["measured_latencies", "20", "10"]),
        ({"export": {"formats": ["a/b"]}}, ["export.formats.0", "a/b"]),
        ({"name": "../x"}, ["name", "letters"]),
        ({"name": "x" * 65}, ["name"]),
        ({"seed": -1}, ["seed"]),
        ({"space": "vision_transformer"}, ["space"]),
    ],
)
def test_each_mistake_is_named_with_its_remedy(changes: dict[str, Any], words: list[str]) -> None:
    message = refusal(**changes)
    for word in words:
        assert word in message, message
    assert "pydantic" not in message


def test_every_mistake_is_listed_at_once() -> None:
    message = refusal(seed=-1, train={"stepz": 1}, export={"formats": []})
    assert all(word in message for word in ("seed", "train.stepz", "export.formats"))


def test_missing_fields() -> None:
    with pytest.raises(SpecError, match="task: this field is required"):
        parse_study({"name": "a"}, "test")


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_data_that_is_no_mapping(data: object) -> None:
    with pytest.raises(SpecError, match="must hold fields"):
        parse_study(data, "test")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", ["not valid YAML", "line"]),
        ("name: a\nname: b\n", ["'name' twice"]),
        ("a: &x [1]\nb: *x\n", ["alias"]),
        ("", ["must hold fields"]),
        ("name: 2024-02-30\n", ["not valid YAML"]),
        ("[" * 5000, ["not valid YAML"]),
        ("!!python/object/apply:os.system ['true']", ["not valid YAML"]),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_study(path)
    for word in words:
        assert word in str(caught.value)


def test_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps(LEAST))
    assert load_study(path) == spec()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        load_study(tmp_path / "absent.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        load_study(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read as text"):
        load_study(binary)
    large = tmp_path / "large.yaml"
    large.write_text("#" * 1_000_001)
    with pytest.raises(SpecError, match="larger than"):
        load_study(large)
