"""A bundle teaches what its module computes, and only if it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from supernet.errors import TeacherError
from supernet.tasks.task import predict
from supernet.training.teacher import OnnxTeacher

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.tasks.task import Task
    from tests.supernet.export.conftest import Exported


def test_a_bundle_teaches_what_its_module_computes(bundle: Path, exported: list[Exported], task: Task) -> None:
    teacher = OnnxTeacher(bundle)
    teacher.check(task)
    inputs = task.example(5)
    torch.testing.assert_close(teacher(inputs), predict(exported[0].module, inputs), rtol=1e-4, atol=1e-4)


def test_a_damaged_bundle_is_refused(bundle: Path) -> None:
    file = bundle / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(TeacherError, match=r"model\.onnx is damaged"):
        OnnxTeacher(bundle)
