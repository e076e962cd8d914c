"""A small study of every family on a task of its kind, from data that was registered to a verified bundle."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from search_spaces import space_names
from supernet.tasks.registry import task_names
from tests.integration.studies import write
from tests.supernet.export.standalone import linked, run_alone
from tests.supernet.tasks.pictures import encode, write_folder
from tests.supernet.tasks.waves import wav

if TYPE_CHECKING:
    from tests.integration.conftest import Call

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "train": {"steps": 10, "batch": 16, "precision": "fp32"},
    "search": {"evaluations": 9, "measured_latencies": 8, "workers": "serial"},
    "retrain": {"steps": 6, "batch": 16, "trials": 1},
}


def images(folder: Path) -> Path:
    """Bright on the left or on the right, with noise."""
    from PIL import Image

    noise = np.random.default_rng(0)
    files = {}
    for number in range(60):
        side = ("left", "right")[number % 2]
        pixels = noise.integers(0, 90, (12, 12), dtype=np.uint8)
        pixels[:, slice(0, 6) if side == "left" else slice(6, 12)] += 120
        files[f"{side}/{number}.png"] = encode(Image.fromarray(pixels))
    return write_folder(folder, files)


def recordings(folder: Path) -> Path:
    """Low and high tones, each of a little different pitch."""
    pitch = {"low": 200.0, "high": 900.0}
    return write_folder(
        folder,
        {
            f"{word}/{number}.wav": wav(hertz=hertz + 5 * number, seconds=0.3)
            for word, hertz in pitch.items()
            for number in range(30)
        },
    )


def sentences(folder: Path) -> Path:
    """What was bought, and whether it pleased."""
    rng = random.Random(0)
    path = folder / "reviews.csv"
    folder.mkdir()
    rows = [f"{rng.randrange(10**6)} was {word},{label}" for word, label in _WORDS * 15]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


_WORDS = [("good", "yes"), ("fine", "yes"), ("bad", "no"), ("awful", "no")]


def prose(folder: Path) -> Path:
    """Sums, written out."""
    folder.mkdir()
    path = folder / "sums.txt"
    path.write_text("".join(f"{a} and {b} is {a + b}\n" for a in range(20) for b in range(20)))
    return path


STUDIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "vision_transformer on images": (
        images,
        {
            "task": {"name": "images", "data": "mine"},
            "space": {
                "name": "vision_transformer",
                "choices": {"stages": [1, 2], "depth": [1, 2], "width": 16, "patch": 2, "window": 3, "bits": [8, 32]},
            },
            "objectives": {"error": {}, "model_bytes": {}},
        },
    ),
    "vision_transformer on digits": (
        None,
        {
            "task": {"name": "digits"},
            "space": {
                "name": "vision_transformer",
                "choices": {"depth": [1, 2], "width": 16, "patch": 4, "pooling": ["mean", "token"]},
            },
            "objectives": {"error": {}, "macs": {}},
        },
    ),
    "convnet on images": (
        images,
        {
            "task": {"name": "images", "data": "mine", "augment": "shift_and_flip"},
            "space": {"name": "convnet", "choices": {"depth": [1, 2], "width": [8, 12], "kernel": [3, 5]}},
            "objectives": {"error": {}, "parameters": {}},
        },
    ),
    "causal_lm on text": (
        prose,
        {
            "task": {"name": "text", "data": "mine", "length": 32},
            "space": {
                "name": "causal_lm",
                "choices": {"depth": 1, "width": [16, 32], "heads": 2, "span": [8, "full"], "local_span": [4, "same"]},
            },
            "objectives": {
                "perplexity": {},
                "decode_latency_ms": {"tokens": 64},
                "kv_cache_bytes": {"tokens": 64},
            },
        },
    ),
    "causal_lm on mqar": (
        None,
        {
            "task": {
                "name": "mqar",
                "length": 16,
                "pairs": 2,
                "vocabulary": 32,
                "train": 500,
                "validation": 60,
                "test": 60,
            },
            "space": {
                "name": "causal_lm",
                "choices": {"depth": [1, 2], "width": 16, "heads": 1, "span": "full", "local_span": "same"},
            },
            "objectives": {"error": {}, "kv_cache_bytes": {}},
        },
    ),
    "text_encoder on labelled_text": (
        sentences,
        {
            "task": {"name": "labelled_text", "data": "mine", "length": 24},
            "space": {"name": "text_encoder", "choices": {"depth": [1, 2], "width": [16, 32], "window": [2, 4]}},
            "objectives": {"error": {}, "model_bytes": {}},
        },
    ),
    "tdnn on audio": (
        recordings,
        {
            "task": {"name": "audio", "data": "mine", "seconds": 0.3, "features": 16},
            "space": {"name": "tdnn", "choices": {"depth": [1, 2], "width": [16, 24], "pooled": 32, "embedding": 16}},
            "objectives": {"eer": {}, "macs": {}},
        },
    ),
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NumPy, ONNX Runtime and what these need."""
    return linked(tmp_path_factory.mktemp("alone") / "packages")


def test_no_family_and_no_task_is_missing() -> None:
    assert {spec["space"]["name"] for _, spec in STUDIES.values()} == set(space_names())
    assert {spec["task"]["name"] for _, spec in STUDIES.values()} == set(task_names())


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_ends_in_a_verified_bundle_that_predicts_alone(
    name: str, tmp_path: Path, call: Call, packages: Path
) -> None:
    data, spec = STUDIES[name]
    if data is not None:
        assert call("data", "add", "mine", data(tmp_path / "data"))[0] == 0
    file = write(tmp_path / "study.json", {"name": "small", **spec, **SMALL})
    code, _, errors = call("run", file)
    assert code == 0, errors
    front = json.loads(call("front", "small", "--output", "json")[1])
    assert front
    assert "predicted" not in {point[f"{metric}_provenance"] for point in front for metric in spec["objectives"]}
    (bundle,) = (tmp_path / "home" / "studies").glob("*/bundles/*")
    assert call("verify", bundle)[0] == 0
    alone = run_alone(packages, bundle / "predict.py", "sample", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
