"""ONNX Runtime sessions."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from supernet.errors import ExportError
from supernet.export.onnx import export_onnx
from supernet.export.runtime import Session, runtime_version

if TYPE_CHECKING:
    from pathlib import Path

    from tests.supernet.export.conftest import Exported


def write_identity(path: Path, kind: int, shape: list[int | str]) -> Path:
    values = [helper.make_tensor_value_info(name, kind, shape) for name in ("tokens", "out")]
    graph = helper.make_graph([helper.make_node("Identity", ["tokens"], ["out"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_examples_have_the_files_own_shape(exported: list[Exported]) -> None:
    session = Session(exported[0].path)
    (example,) = session.example(3)
    assert (example.shape, example.dtype) == ((3, 1, 8, 8), np.float32)
    assert np.array_equal(example, session.example(3)[0])
    assert np.std(example) > 0.5
    assert session.run(example).shape == (3, 10)


def test_token_ids_are_zeros(tmp_path: Path) -> None:
    session = Session(write_identity(tmp_path / "model.onnx", TensorProto.INT64, ["batch", 5]))
    assert np.array_equal(session.run(*session.example(2)), np.zeros((2, 5), dtype=np.int64))


def test_other_inputs_are_refused(tmp_path: Path) -> None:
    session = Session(write_identity(tmp_path / "model.onnx", TensorProto.BOOL, ["batch"]))
    with pytest.raises(ExportError, match=r"tokens has type tensor\(bool\); float and int64"):
        session.example(1)


def test_threads_do_not_change_what_is_computed(exported: list[Exported]) -> None:
    (inputs,) = Session(exported[0].path).example(4)
    one, two = (Session(exported[0].path, threads=threads).run(inputs) for threads in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_file_that_cannot_be_opened_ends_in_a_clear_error(
    tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=r"ONNX Runtime cannot open .*model\.onnx"):
        Session(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("inputs", [np.zeros((2, 3, 8, 8), np.float32), np.zeros((2, 1, 8, 8), np.int64)])
def test_inputs_that_do_not_fit_end_in_a_clear_error(
    exported: list[Exported], inputs: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExportError, match=r"cannot run .*\.onnx on inputs of \(2, . 8, 8\)|cannot run"):
        Session(exported[0].path).run(inputs)
    assert capfd.readouterr() == ("", "")


def test_it_needs_no_torch(exported: list[Exported]) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom supernet.export.runtime import Session, runtime_version\n"
        "session = Session(Path(sys.argv[1]))\nsession.run(*session.example(1))\n"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules\nassert runtime_version()"
    )
    subprocess.run([sys.executable, "-c", code, str(exported[0].path)], check=True)


def test_the_version_is_recorded_with_its_name() -> None:
    name, version = runtime_version().split()
    assert name == "onnxruntime"
    assert version[0].isdigit()


class Two(torch.nn.Module):
    def forward(self, tokens: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tokens * scale, scale + 1


def test_a_file_with_several_inputs_is_fed_in_their_order(tmp_path: Path) -> None:
    export_onnx(Two(), (torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 3)), tmp_path / "two.onnx")
    session = Session(tmp_path / "two.onnx")
    tokens, scale = session.example(4)
    assert (tokens.dtype, tokens.shape, scale.dtype, scale.shape) == (np.int64, (4, 3), np.float32, (4, 3))
    assert np.allclose(session.run(tokens + 2, scale), 2 * scale)
    with pytest.raises(ExportError, match=r"cannot run .*two.onnx on inputs of \(4, 3\)"):
        session.run(tokens)
