"""predict.py of a bundle: alone with NumPy and ONNX Runtime, and helpful."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.supernet.export.standalone import linked, run_alone

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Predict = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linked(tmp_path_factory.mktemp("alone") / "packages")


@pytest.fixture
def predict(packages: Path, whole_bundle: Path, tmp_path: Path) -> Predict:
    return lambda *given: run_alone(packages, whole_bundle / "predict.py", *given, cwd=tmp_path)


def test_the_sample_comes_out_as_stored(predict: Predict, whole_bundle: Path) -> None:
    done = predict("sample")
    assert done.returncode == 0, done.stderr
    *lines, verdict = done.stdout.splitlines()
    best = np.load(whole_bundle / "sample_outputs.npy").argmax(-1)
    assert [line.split()[1] for line in lines] == [str(one) for one in best]
    assert "8 samples as stored" in verdict


def test_inputs_are_classified(predict: Predict, whole_bundle: Path, tmp_path: Path) -> None:
    inputs = np.load(whole_bundle / "sample_inputs.npy")
    np.save(tmp_path / "three.npy", inputs[:3])
    np.save(tmp_path / "one.npy", inputs[2])
    three = predict("three.npy").stdout.splitlines()
    assert len(three) == 3
    assert predict("one.npy").stdout.split()[1:] == three[2].split()[1:]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.zeros((2, 3, 8, 8), np.float32), ["(2, 3, 8, 8)", "reads (samples, 1, 8, 8)"]),
        (np.zeros((1, 8), np.float32), ["(1, 8)"]),
        (np.zeros((1, 1, 8, 8)), ["float64", "float32", "astype"]),
        (np.zeros((0, 1, 8, 8), np.float32), ["no sample"]),
        (np.full((1, 1, 8, 8), np.nan, np.float32), ["NaN"]),
        (np.array(None), ["no array"]),
    ],
)
def test_wrong_inputs_are_refused_in_words(
    predict: Predict, tmp_path: Path, inputs: np.ndarray, words: list[str]
) -> None:
    np.save(tmp_path / "wrong.npy", inputs, allow_pickle=True)
    done = predict("wrong.npy")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_other_mistakes_are_refused_in_words(predict: Predict, tmp_path: Path) -> None:
    assert "no file" in predict("absent.npy").stderr
    assert "this folder has onnx" in predict("sample", "--format", "gguf").stderr
    (tmp_path / "text.npy").write_text("text")
    assert "no array" in predict("text.npy").stderr
    assert predict().returncode == 2


def test_samples_that_are_not_what_was_stored_are_told(packages: Path, bundle: Path) -> None:
    outputs = np.load(bundle / "sample_outputs.npy")
    np.save(bundle / "sample_outputs.npy", outputs + 0.01)
    done = run_alone(packages, bundle / "predict.py", "sample", cwd=bundle)
    assert done.returncode == 1
    assert "does not compute the stored outputs" in done.stderr
    (bundle / "config.json").unlink()
    assert "keep the files" in run_alone(packages, bundle / "predict.py", "sample", cwd=bundle).stderr
