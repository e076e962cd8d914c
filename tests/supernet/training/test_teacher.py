"""A teacher in a file: what it answers, and what is refused before training starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from supernet import SharedWeights
from supernet.errors import TeacherError
from supernet.tasks.task import UNLABELLED, Split, Task
from supernet.training.loop import LoopConfig, Watcher
from supernet.training.sampling import Sandwich
from supernet.training.supernet import train_supernet
from supernet.training.teacher import OnnxTeacher
from tests.supernet.training.small import CLASSES, FEATURES, SmallNet, small_space, small_task

if TYPE_CHECKING:
    from supernet.training.distillation import Teacher

MATRIX = np.random.default_rng(0).standard_normal((FEATURES, CLASSES)).astype(np.float32)


def write(path: Path, *, classes: int = CLASSES, batch: int | str = "batch") -> Path:
    """An ONNX file that multiplies the features with a matrix."""
    inputs = helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, FEATURES])
    outputs = helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, classes])
    nodes = [helper.make_node("MatMul", ["input", "matrix"], ["output"])]
    graph = helper.make_graph(
        nodes, "linear", [inputs], [outputs], [numpy_helper.from_array(MATRIX[:, :classes], "matrix")]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_it_answers_with_the_logits_of_the_file(tmp_path: Path) -> None:
    teacher = OnnxTeacher(write(tmp_path / "teacher.onnx"))
    inputs = small_task().train.inputs[:5].requires_grad_()
    logits = teacher(inputs)
    torch.testing.assert_close(logits, inputs.detach() @ torch.from_numpy(MATRIX))
    assert not logits.requires_grad
    teacher.check(small_task())


def test_weights_in_a_file_beside_it_are_part_of_its_digest(tmp_path: Path) -> None:
    file = write(tmp_path / "teacher.onnx")
    model = onnx.load(file)
    onnx.save_model(model, file, save_as_external_data=True, location="beside", size_threshold=0)
    before = OnnxTeacher(file).sha256
    (tmp_path / "beside").write_bytes((2 * MATRIX).tobytes())
    assert OnnxTeacher(file).sha256 != before


def test_it_teaches_as_the_module_that_the_file_was_made_of(tmp_path: Path) -> None:
    """In a whole training, whose every step asks for the logits of another batch."""
    module = torch.nn.Linear(FEATURES, CLASSES, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(MATRIX.T))
    config = LoopConfig(steps=5, batch=8, learning_rate=1e-3)

    def losses(teacher: Teacher | None) -> list[float]:
        heard: list[float] = []
        watcher = Watcher(progress=lambda done, steps, loss: heard.append(loss))
        weights, sampler = SharedWeights(SmallNet, small_space()), Sandwich(small_space(), 1)
        train_supernet(weights, small_task(), sampler, config, teacher=teacher, watcher=watcher)
        return heard

    found = losses(OnnxTeacher(write(tmp_path / "teacher.onnx")))
    assert found == pytest.approx(losses(module), rel=1e-3)
    assert found != pytest.approx(losses(None), rel=1e-3)


@pytest.mark.parametrize(
    ("classes", "batch", "words"),
    [
        (2, "batch", r"logits of shape \(2, 2\), where \(2, 3\) is needed; use a model that was trained for these"),
        (3, 2, "does not take the inputs of this task"),
    ],
)
def test_logits_of_another_shape_and_fixed_batches_are_refused(
    tmp_path: Path, classes: int, batch: int | str, words: str
) -> None:
    with pytest.raises(TeacherError, match=words):
        OnnxTeacher(write(tmp_path / "teacher.onnx", classes=classes, batch=batch)).check(small_task())


def test_inputs_of_another_kind_are_refused(tmp_path: Path) -> None:
    split = Split(torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, 3, dtype=torch.int64))
    task = Task(name="tokens", train=split, validation=split, test=split, classes=3, kind="tokens", vocabulary=9)
    with pytest.raises(TeacherError, match="does not take the inputs of this task"):
        OnnxTeacher(write(tmp_path / "teacher.onnx")).check(replace(task, per_position=True))


def test_positions_count_in_the_shape(tmp_path: Path) -> None:
    split = Split(torch.zeros(4, FEATURES), torch.full((4, 2), UNLABELLED))
    task = Task(name="t", train=split, validation=split, test=split, classes=3, kind="features", per_position=True)
    with pytest.raises(TeacherError, match=r"\(2, 2, 3\) is needed"):
        OnnxTeacher(write(tmp_path / "teacher.onnx")).check(task)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"\x80\x04 a pickle, say")
    (tmp_path / "folder").mkdir()
    for path, words in (
        (tmp_path / "weights.pt", "cannot open"),
        (tmp_path / "missing.onnx", "missing.onnx"),
        (tmp_path / "folder", "is no bundle"),
    ):
        with pytest.raises(TeacherError, match=words) as caught:
            OnnxTeacher(path)
        assert "A teacher is an ONNX file, or a folder that Supernaut exported." in str(caught.value)
