"""The model card says what the manifest says."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from supernet.export.card import Number, architecture_lines
from supernet.export.model_card import model_card
from tests.supernet.export.conftest import MIXERS, NUMBERS, architecture_of

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURE = architecture_of(MIXERS, width=32, patch=2)


def card(*, rounds_inputs: bool = False, class_names: tuple[str, ...] = (), **changes: Any) -> str:
    axes = ["batch", 1, 8, 8]
    onnx = {
        "files": ["model.onnx"],
        "bytes": 12_345,
        "axes": axes,
        "about": "the model",
        "rounds_inputs": rounds_inputs,
    }
    manifest = {
        "study": {"name": "first-light", "id": "0", "seed": 3},
        "task": {"name": "digits", "sha256": "f" * 64},
        "architecture": {"digest": ARCHITECTURE.digest, "answers": dict(ARCHITECTURE)},
        "numbers": [asdict(number) for number in NUMBERS],
        "formats": {"onnx": onnx},
        "left_out": {},
        "device": {"id": "a device", "processor": "a | processor"},
        "recipe": {"start": "inherited", "learning_rate": 0.002, "teacher": {"name": "largest"}, "trials": []},
        **changes,
    }
    inputs = {"kind": "image", "shape": [1, 8, 8], "type": "float32", "vocabulary": None}
    config = {"inputs": inputs, "classes": 10, "class_names": list(class_names)}
    return model_card(manifest, config, {"model.onnx": "the model"})


def test_it_holds_every_number_with_unit_and_provenance() -> None:
    text = card()
    assert "| error | validation | 0.0412 fraction |  |  |" in text
    assert "| error | test |  |  | 0.0312 fraction |" in text
    assert "| latency_ms | 0.0512 [0.0500, 0.0533] ms | exported | a device |" in text
    assert "| parameters | 12,345 values | computed |  |" in text
    assert "(any batch, 1, 8, 8), float32" in text
    assert "\n".join(architecture_lines(ARCHITECTURE)) in text
    assert "- `model.onnx`: the model" in text
    assert "f" * 64 in text
    assert not re.search(r"\{\w+\}", text), "a field was left unfilled"


def test_scores_of_one_metric_stand_side_by_side() -> None:
    scores = [
        Number(metric="error", value=value, provenance=provenance, split="validation")
        for provenance, value in (("inherited", 0.25), ("retrained", 0.125), ("exported", 0.0625))
    ]
    text = card(numbers=[asdict(score) for score in scores])
    assert "| error | validation | 0.2500 fraction | 0.1250 fraction | 0.0625 fraction |" in text


def test_each_format_has_its_size_and_its_accuracy() -> None:
    main = {"files": ["model.onnx"], "bytes": 1, "axes": ["batch"], "about": "the model", "rounds_inputs": False}
    entry = {**main, "files": ["small.onnx"], "bytes": 4_321, "axes": ["batch", 40], "about": "in 8 bits"}
    more = [Number(metric="error", value=0.5, provenance="exported", split="test", format="onnx-int8")]
    text = card(
        formats={"onnx": main, "onnx-int8": entry},
        numbers=[asdict(number) for number in (*NUMBERS, *more)],
        left_out={"onnx-fp16": "it has layers of 4 bits"},
    )
    assert "Not written as `onnx-fp16`: it has layers of 4 bits." in text
    assert "| onnx-int8 | `small.onnx` | 4,321 | (batch, 40) | error 0.5000 fraction (test) | in 8 bits |" in text
    assert "| error | test |  |  | 0.0312 fraction |" in text, "scores of other formats do not count"


def test_the_recipe_is_told() -> None:
    trials = [{"learning_rate": 0.002, "state": "finished"}, {"learning_rate": 0.004, "state": "stopped"}]
    text = card(recipe={"start": "scratch", "teacher": None, "learning_rate": 0.002, "trials": trials})
    assert "| start | scratch |" in text
    assert "| teacher | none |" in text
    assert "| 1 | 0.004 | stopped |" in text
    assert "No recipe was recorded" in card(recipe={})


def test_words_of_the_data_stay_in_their_cell() -> None:
    assert "0 a\\|b, 1 two lines" in card(class_names=("a|b", "two\nlines"))
    assert "and so on" in card(class_names=tuple("abcdefghijklmnopqrstuvw"))


def test_rounding_is_told_only_where_it_happens() -> None:
    words = "an answer depends a\nlittle on its batch"
    assert words in card(rounds_inputs=True)
    assert words not in card()


def test_the_card_of_a_bundle_draws_what_config_json_builds(whole_bundle: Path) -> None:
    text = (whole_bundle / "README.md").read_text()
    config = json.loads((whole_bundle / "config.json").read_text())
    assert all(f"layer {index}" in text for index in range(config["architecture"]["depth"]))
    assert {path.name for path in whole_bundle.iterdir()} == set(re.findall(r"^- `([^`]+)`", text, flags=re.M))
