"""Quantized maps in the file: the operators, the bytes, and the answers, one sample at a time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from predictors.costs import model_size
from search_spaces import Architecture, load_space
from supernet.compression import Policy, QuantizedLinear, apply
from supernet.errors import ParityError
from supernet.export import kernels
from supernet.export.onnx import check_onnx, export_onnx, rounds_inputs
from supernet.export.parity import check_parity
from supernet.export.quantized import lowered
from supernet.export.runtime import Session
from supernet.tasks.task import predict
from tests.supernet.export.conftest import build

if TYPE_CHECKING:
    from supernet.tasks.task import Task

SPACE = load_space("vision_transformer", depth=3, width=48, patch=[2, 4], bits=[4, 8, 32])


def random_linear(inputs: int, outputs: int, bits: int, *, bias: bool = True) -> nn.Linear:
    generator = torch.Generator().manual_seed(inputs)
    module = nn.Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    apply(module, Policy(bits={"": bits}))
    return module


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("inputs", "outputs", "bias"), [(64, 16, True), (33, 5, False)])
def test_one_map_computes_the_same_in_the_runtime(
    tmp_path: Path, bits: int, inputs: int, outputs: int, bias: bool
) -> None:
    module = random_linear(inputs, outputs, bits, bias=bias)
    x = torch.randn(9, 3, inputs, generator=torch.Generator().manual_seed(1))
    path = tmp_path / "map.onnx"
    export_onnx(module, x, path)
    check_onnx(path)
    expected = module(x).detach().numpy()
    np.testing.assert_allclose(Session(path).run_each(x.numpy()), expected, rtol=1e-4, atol=1e-3)
    assert ("MatMulNBits" if bits == 4 else "MatMulInteger") in operators(path)
    assert rounds_inputs(path) == (bits == 8)


@pytest.mark.slow
def test_unsigned_weights_compute_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the definition says, on every processor; and bit by bit as signed ones, on one whose products of these are
    exact: without VNNI they saturate, which is why unsigned ones are stored there."""
    module = random_linear(64, 16, 8)
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    is_exact_here = kernels.signed_int8_is_exact()
    answers = {}
    for exact in (True, False):
        monkeypatch.setattr(kernels, "signed_int8_is_exact", lambda exact=exact: exact)
        path = tmp_path / f"{exact}.onnx"
        export_onnx(module, x, path)
        answers[exact] = Session(path).run_each(x.numpy())
        stored = {t.data_type for t in onnx.load(path).graph.initializer if t.dims == [64, 16]}
        assert stored == {onnx.TensorProto.INT8 if exact else onnx.TensorProto.UINT8}
    np.testing.assert_allclose(answers[False], module(x).detach().numpy(), rtol=1e-4, atol=1e-3)
    assert np.array_equal(answers[True], answers[False]) or not is_exact_here


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, task: Task) -> tuple[nn.Module, Path]:
    """A vision transformer with a layer of each number of bits, in one file."""
    answers = {**SPACE.largest(), "layers.0.bits": 4, "layers.1.bits": 8, "layers.2.bits": 32}
    module = build(Architecture(answers), task)
    path = tmp_path_factory.mktemp("mixed") / "model.onnx"
    export_onnx(module, task.example(2), path)
    return module, path


@pytest.mark.slow
def test_one_file_holds_layers_of_all_bits(mixed: tuple[nn.Module, Path], task: Task) -> None:
    module, path = mixed
    assert {"MatMulNBits", "MatMulInteger", "MatMul"} <= operators(path) | {
        "MatMul" if op == "Gemm" else op for op in operators(path)
    }
    inputs = task.validation.inputs[:40]
    expected, actual = predict(module, inputs).numpy(), Session(path).run_each(inputs.numpy())
    check_parity(expected, actual, "mixed", rounds_inputs=True)


def test_the_file_stores_what_the_cost_says(mixed: tuple[nn.Module, Path]) -> None:
    module, path = mixed
    stored = sum(len(onnx.numpy_helper.to_array(t).tobytes()) for t in onnx.load(path).graph.initializer)
    predicted = model_size(module).model_bytes
    full = sum(parameter.numel() * 4 for parameter in module.parameters())
    assert predicted < 0.6 * full
    assert predicted <= stored < predicted + 1000  # constants of the graph besides
    assert path.stat().st_size < 0.75 * full


def test_exporting_changes_nothing(mixed: tuple[nn.Module, Path], task: Task) -> None:
    module, _ = mixed
    names = [name for name, child in module.named_modules() if isinstance(child, QuantizedLinear)]
    assert len(names) == 12
    parameters = list(module.named_parameters())
    with lowered(module, signed=True) as inside:
        assert inside is module
        assert not [child for child in module.modules() if isinstance(child, QuantizedLinear)]
    assert [name for name, child in module.named_modules() if isinstance(child, QuantizedLinear)] == names
    assert [(n, id(p)) for n, p in module.named_parameters()] == [(n, id(p)) for n, p in parameters]
    assert predict(module, task.example(1)).isfinite().all()


def test_a_wrong_weight_is_noticed(mixed: tuple[nn.Module, Path], task: Task, tmp_path: Path) -> None:
    """The wider tolerance of rounded inputs still sees one output feature of one layer that is off."""
    module, path = mixed
    model = onnx.load(path)
    scale = next(t for t in model.graph.initializer if t.dims == [48] and "scale" in t.name)
    values = onnx.numpy_helper.to_array(scale).copy()
    values[:] *= 1.5
    scale.CopyFrom(onnx.numpy_helper.from_array(values, scale.name))
    damaged = tmp_path / "damaged.onnx"
    onnx.save(model, damaged)
    inputs = task.validation.inputs[:40]
    expected, actual = predict(module, inputs).numpy(), Session(damaged).run_each(inputs.numpy())
    with pytest.raises(ParityError):
        check_parity(expected, actual, "damaged", rounds_inputs=True)


@pytest.mark.slow
def test_random_mixed_architectures_keep_their_answers(task: Task, tmp_path: Path) -> None:
    rng = random.Random(5)
    for index in range(3):
        module = build(SPACE.sample(rng), task)
        path = tmp_path / f"{index}.onnx"
        export_onnx(module, task.example(2), path)
        inputs = task.validation.inputs[:60]
        actual = Session(path).run_each(inputs.numpy())
        check_parity(predict(module, inputs).numpy(), actual, str(index), rounds_inputs=rounds_inputs(path))


def test_this_runtime_has_the_kernels() -> None:
    assert kernels.missing_kernel(4) is None
    assert kernels.missing_kernel(8) is None
    assert kernels.missing_kernel(32) is None


def test_a_missing_kernel_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = kernels.integer_probe
    monkeypatch.setattr(kernels, "integer_probe", lambda weights: real(weights).replace(b"MatMulNBits", b"MatMulNBitz"))
    kernels.missing_kernel.cache_clear()
    try:
        reason = kernels.missing_kernel(4)
    finally:
        kernels.missing_kernel.cache_clear()
    assert reason is not None
    assert "MatMulNBitz" in reason
