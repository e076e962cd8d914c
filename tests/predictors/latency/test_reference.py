"""The model that every candidate is timed against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch

from predictors.latency.reference import BLOCKS, TOKENS, WIDTH, write_reference
from supernet.export.runtime import Session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_it_is_a_transformer_of_fixed_size_and_weights(tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    write_reference(tmp_path / "reference.onnx")
    assert torch.equal(torch.get_rng_state(), before)
    session = Session(tmp_path / "reference.onnx")
    (inputs,) = session.example(3)
    assert inputs.shape == (3, TOKENS, WIDTH)
    outputs = session.run(inputs)
    assert outputs.shape == inputs.shape
    assert np.isfinite(outputs).all()
    assert outputs.std() > 1e-3
    model = onnx.load(tmp_path / "reference.onnx")
    operations = [node.op_type for node in model.graph.node]
    assert operations.count("Softmax") == BLOCKS
    assert sum(tensor.dims == [WIDTH, WIDTH] for tensor in model.graph.initializer) >= 4 * BLOCKS
    # The weights come from a fixed seed: another file would be another unit of time.
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    total = sum(float(np.abs(array).sum()) for array in weights if array.dtype == np.float32)
    assert np.isclose(total, 3898.865, rtol=1e-5)
