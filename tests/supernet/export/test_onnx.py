"""ONNX files: they compute what the module computes, name nothing of this machine, and leave no trace here."""

from __future__ import annotations

import errno
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from supernet.errors import BundleError, ExportError
from supernet.export.onnx import OPSET, check_onnx, export_onnx
from supernet.export.parity import check_parity
from supernet.export.runtime import Session
from supernet.tasks.task import predict

if TYPE_CHECKING:
    from supernet.tasks.task import Task
    from tests.supernet.export.conftest import Exported


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_the_file_computes_what_the_module_computes(
    exported: list[Exported], task: Task, index: int, batch: int
) -> None:
    """All four mixers, at batches other than the one that was exported."""
    one = exported[index]
    inputs = task.validation.inputs[:batch]
    expected = predict(one.module, inputs).numpy()
    assert np.abs(expected).max() > 0.1
    parity = check_parity(expected, Session(one.path).run(inputs.numpy()), "file")
    assert (parity.samples, parity.decisions_changed) == (batch, 0)
    assert parity.largest_difference < 1e-4


def test_the_file_is_self_contained_and_says_nothing_of_this_machine(exported: list[Exported]) -> None:
    for one in exported:
        content = one.path.read_bytes()
        for trace in (b"site-packages", b'File "', str(Path.cwd()).encode(), str(Path.home()).encode()):
            assert trace not in content, trace
        model = onnx.load(one.path, load_external_data=False)
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        assert [entry.version for entry in model.opset_import if entry.domain == ""] == [OPSET]
        assert [value.name for value in model.graph.input] == ["input"]
        assert [value.name for value in model.graph.output] == ["output"]
        check_onnx(one.path)


class Branches(nn.Module):
    """A branch on a value has graphs inside a node."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda y: y.sin(), lambda y: y.cos(), (x,))


@pytest.mark.slow
def test_exporting_leaves_no_trace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Modes, random state, gradients, log levels and handlers, warning filters: as before.  Nothing is printed."""
    module = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.BatchNorm1d(4).eval(), Branches())
    names = ["", "torch.onnx", "onnxscript", "torch.export", "onnx_ir", "torch._dynamo"]
    torch.manual_seed(0)

    def everything() -> list[object]:
        loggers = [logging.getLogger(name) for name in names]
        return [
            [child.training for child in module.modules()],
            {name: tensor.clone().tolist() for name, tensor in module.state_dict().items()},
            [parameter.grad for parameter in module.parameters()],
            torch.get_rng_state().tolist(),
            [(logger.level, logger.disabled, logger.propagate, list(logger.handlers)) for logger in loggers],
            list(warnings.filters),
            torch.is_grad_enabled(),
        ]

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        logging.getLogger("torch.onnx").setLevel(logging.INFO)
        before = everything()
        try:
            export_onnx(module, torch.ones(1, 3), tmp_path / "model.onnx")
            assert everything() == before
        finally:
            logging.getLogger("torch.onnx").setLevel(logging.NOTSET)
    assert heard == []
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    model = onnx.load(tmp_path / "model.onnx")
    (branch,) = (node for node in model.graph.node if node.op_type == "If")
    for attribute in branch.attribute:
        assert not any(node.metadata_props for node in attribute.g.node)
    assert str(Path.cwd()).encode() not in (tmp_path / "model.onnx").read_bytes()


class Unsupported(nn.Module):
    """`geqrf` has no ONNX form."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.geqrf(x)[0]


def test_an_operation_without_an_onnx_form_ends_in_a_clear_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    module = Unsupported()
    with pytest.raises(ExportError, match=r"^Unsupported cannot be exported to ONNX: .+") as caught:
        export_onnx(module, torch.ones(2, 3), tmp_path / "model.onnx")
    assert len(str(caught.value)) < 700
    assert module.training
    assert not any(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_ends_in_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: list[Exported]
) -> None:
    class Program:
        model_proto = onnx.load(exported[1].path)

    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: Program())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ExportError, match="No space left on device; free space"):
            export_onnx(exported[1].module, torch.zeros(2, 1, 8, 8), tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="cannot write"):
        export_onnx(exported[1].module, torch.zeros(2, 1, 8, 8), tmp_path / "missing" / "model.onnx")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["garbage", "empty", "truncated", "missing", "unknown operator"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, exported: list[Exported], damage: str) -> None:
    path = tmp_path / "model.onnx"
    content = exported[0].path.read_bytes()
    if damage == "unknown operator":
        model = onnx.load(exported[0].path)
        model.graph.node[0].op_type = "NoSuchOperator"
        path.write_bytes(model.SerializeToString())
    elif damage != "missing":
        path.write_bytes({"garbage": b"\x00\xff" * 500, "empty": b"", "truncated": content[:-1_000]}[damage])
    with pytest.raises(BundleError, match=r"model\.onnx is not a valid ONNX model: .+"):
        check_onnx(path)
