"""What the package offers, and what it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import predictors


@pytest.mark.parametrize("name", predictors.__all__)
def test_everything_it_names_is_there(name: str) -> None:
    assert getattr(predictors, name).__name__ == name
    assert getattr(predictors, name).__module__.startswith("predictors.")


def test_anything_else_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'costs_of'"):
        _ = predictors.costs_of  # type: ignore[attr-defined]


def test_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, predictors, predictors.errors, predictors.latency.benchmark, predictors.latency.device\n"
        "heavy = {'torch', 'scipy', 'fvcore', 'onnxruntime', 'onnx', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
