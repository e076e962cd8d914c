"""The exporter's operators are read once, and nothing of that is left outside of an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from onnxscript._framework_apis import torch_2_5
from torch import nn
from torch.onnx._internal.exporter import _registration

from supernet.export import operators
from supernet.export.onnx import export_onnx
from supernet.export.operators import operators_read_once

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = _registration.ONNXRegistry


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One item for each time that all sources are parsed."""
    operators._kept.cache_clear()
    found: list[None] = []
    read = torch_2_5.get_torchlib_ops

    def counted() -> Any:
        found.append(None)
        return read()

    monkeypatch.setattr(_registration.onnxscript_apis, "get_torchlib_ops", counted)
    return found


def test_two_files_and_two_opsets_are_read_once_each_and_are_what_the_exporter_writes(
    tmp_path: Path, reads: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, example = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Softmax(-1)), torch.randn(2, 3)
    for name in ("first", "second"):
        export_onnx(module, example, tmp_path / name)
    assert len(reads) == 1
    with operators_read_once():
        assert REGISTRY.from_torchlib(opset_version=19).opset_version == 19
    assert len(reads) == 2
    monkeypatch.setattr(operators, "_NAME", "of_another_version")
    export_onnx(module, example, tmp_path / "plain")
    assert len(reads) == 3
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_an_export_s_own_operators_are_not_those_of_the_next(reads: list[None]) -> None:
    with operators_read_once():
        first = REGISTRY.from_torchlib(opset_version=18)
        before = {name: list(found) for name, found in first.functions.items()}
        first.register_op(torch.ops.aten.gelu.default, lambda x: x)
        assert first.functions != before
        assert REGISTRY.from_torchlib(opset_version=18).functions == before
    assert len(reads) == 1


def test_the_exporter_is_as_it_was_afterwards(reads: list[None]) -> None:
    own = vars(REGISTRY)["from_torchlib"]
    with operators_read_once():
        with operators_read_once():  # as another thread may
            assert vars(REGISTRY)["from_torchlib"] is not own
        assert vars(REGISTRY)["from_torchlib"] is not own
    assert vars(REGISTRY)["from_torchlib"] is own
    with pytest.raises(OSError, match="full"), operators_read_once():
        raise OSError("full")
    assert vars(REGISTRY)["from_torchlib"] is own
    assert reads == []
