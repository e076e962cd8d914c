"""Which formats a bundle gets, and what is said of the others."""

from __future__ import annotations

import pytest
from torch import nn

from runner.errors import SpecError
from runner.formats import formats_for, refuse
from supernet.tasks.registry import load_task


def test_the_main_one_comes_first_and_none_twice() -> None:
    found, left_out = formats_for(["onnx-int8", "onnx", "onnx-int8"], nn.Linear(2, 2), load_task("digits"), "--format")
    assert [one.name for one in found] == ["onnx", "onnx-int8"]
    assert left_out == {}


def test_what_does_not_apply_is_left_out_with_the_reason_and_can_be_refused() -> None:
    found, left_out = formats_for(["onnx-decode"], nn.Linear(2, 2), load_task("digits"), "--format")
    assert [one.name for one in found] == ["onnx"]
    assert "only models of language are decoded" in left_out["onnx-decode"]
    with pytest.raises(SpecError, match="--format: the format 'onnx-decode' does not apply: only models"):
        refuse(left_out, "--format")
    refuse({}, "--format")


def test_a_name_that_does_not_exist_is_refused_with_what_does() -> None:
    with pytest.raises(SpecError, match=r"export.formats: there is no format 'onnxint8'; did you mean 'onnx-int8'\?"):
        formats_for(["onnxint8"], nn.Linear(2, 2), load_task("digits"), "export.formats")
