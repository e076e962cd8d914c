"""How two bundles of one architecture are compared, and which study makes one again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.errors import SpecError
from runner.reproduce import compare, specification_again
from runner.study import parse_study

SPEC = {
    "name": "digits",
    "task": {"name": "digits"},
    "space": {"name": "vision_transformer"},
    "objectives": {"error": {}},
    "seed": 5,
}


def manifest(**changes: Any) -> dict[str, Any]:
    number = {"metric": "error", "value": 0.1, "split": "test", "provenance": "exported", "format": "onnx"}
    return {
        "study": {"name": "digits"},
        "architecture": {"digest": "0123456789abcdef"},
        "specification": parse_study(SPEC, "test").model_dump(mode="json"),
        "recipe": {"learning_rate": 0.0015, "weight_decay": 0.25, "precision": "fp32"},
        "numbers": [number],
        "task": {"samples": {"validation": 100, "test": 400}},
        "versions": {"torch": "2.13.0"},
        "commit": None,
        "device": {"id": "here"},
        "files": {"model.safetensors": {"sha256": "a", "bytes": 1}},
        **changes,
    }


def test_the_chosen_trial_is_the_only_one() -> None:
    spec = specification_again(manifest(), None)
    assert spec.name == "digits-again-01234567"
    assert (spec.retrain.learning_rate, spec.retrain.weight_decay, spec.retrain.trials) == (0.0015, 0.25, 1)
    assert (spec.train.precision, spec.seed) == ("fp32", 5)
    assert specification_again(manifest(), "mine").name == "mine"
    with pytest.raises(SpecError, match="use letters"):
        specification_again(manifest(), "no name")


def test_settings_beyond_what_a_study_can_ask_for_are_drawn_again() -> None:
    """Trials are drawn around the given settings."""
    recipe = {"learning_rate": 0.0015, "weight_decay": 1.5, "precision": "fp32"}
    assert specification_again(manifest(recipe=recipe), None).retrain.trials == 4


def test_equal_bundles_are_bit_equal() -> None:
    found = compare(manifest(), manifest(), "again", Path())
    assert (found.reproduced, found.bit_equal, found.same_device, found.differing) == (True, True, True, {})


def test_a_fraction_may_differ_by_three_deviations_of_a_difference() -> None:
    """0.1 of 400 samples: 3 * sqrt(2 * 0.1 * 0.9 / 400) = 0.0636."""

    def again(value: float, metric: str = "error", before: float = 0.1) -> bool:
        def numbers(v: float) -> list[dict[str, Any]]:
            return [{"metric": metric, "value": v, "split": "test", "provenance": "exported", "format": "onnx"}]

        return compare(manifest(numbers=numbers(before)), manifest(numbers=numbers(value)), "again", Path()).reproduced

    assert again(0.16)
    assert not again(0.17)
    assert again(0.004, before=0.0), "a score of 0 leaves room for a few samples"
    assert again(2.19, "loss", before=2.0)
    assert not again(2.21, "loss", before=2.0)


def test_what_differs_is_listed() -> None:
    other = manifest(
        versions={"torch": "3.0", "onnx": "2"},
        commit="c",
        device={"id": "there"},
        files={"model.safetensors": {"sha256": "b", "bytes": 1}},
    )
    found = compare(manifest(), other, "again", Path())
    assert found.differing == {"commit": ("none", "c"), "onnx": ("none", "2"), "torch": ("2.13.0", "3.0")}
    assert not found.bit_equal
    assert not found.same_device
    assert found.reproduced


def test_only_scores_of_the_retrained_model_and_its_main_file_count() -> None:
    number = {"metric": "error", "value": 0.1, "split": "test", "provenance": "exported", "format": "onnx"}
    numbers = [
        number,
        {**number, "format": "onnx-int8"},
        {**number, "provenance": "inherited", "format": None},
        {**number, "split": None},
    ]
    found = compare(manifest(numbers=numbers), manifest(numbers=numbers), "again", Path())
    assert len(found.scores) == 1
