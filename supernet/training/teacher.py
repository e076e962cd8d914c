"""A trained model in a file as the teacher of others: an ONNX file or an exported bundle, run in ONNX Runtime.

No code is loaded with it, so that a model from anywhere can teach.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from supernet.errors import ExportError, TeacherError
from supernet.export.bundle import verify_bundle
from supernet.export.onnx import weight_files
from supernet.export.runtime import Session

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from supernet.tasks.task import Task

_MODEL = "model.onnx"  # in a bundle
_TRIED = (2, 3)  # samples: whoever answers for both takes batches of any size


class OnnxTeacher:
    """Logits of an ONNX file for batches of inputs; of a bundle, once its digests and samples are verified.

    It uses as many threads as torch does when it is made.  Raises `TeacherError` where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / _MODEL if path.is_dir() else path
        try:
            if path.is_dir():
                verify_bundle(path)
            self._session = Session(file, threads=torch.get_num_threads())
            digest = hashlib.sha256(file.read_bytes())
            for beside in weight_files(file):
                digest.update(beside.read_bytes())
            self.sha256 = digest.hexdigest()
        except (ExportError, OSError) as error:
            raise TeacherError(
                f"the teacher {path} cannot be used: {error} A teacher is an ONNX file, or a folder that Supernaut "
                "exported."
            ) from error

    def __call__(self, inputs: Tensor) -> Tensor:
        """(batch, ...) as the task prepares them -> (batch, ..., classes), without a gradient.

        Raises `TeacherError` where the file refuses these inputs.
        """
        try:
            return torch.from_numpy(self._session.run(inputs.detach().cpu().numpy())).to(inputs.device)
        except ExportError as error:
            raise TeacherError(f"the teacher {self.path} does not take the inputs of this task: {error}") from error

    def check(self, task: Task) -> None:
        """Raise `TeacherError` unless its logits have the shape of this task's, for batches of any size."""
        for samples in _TRIED:
            rows = torch.arange(samples) % len(task.train)
            inputs, targets = task.train.read(rows)
            found, wanted = tuple(self(inputs).shape), (*targets.shape, task.classes)
            if found != wanted:
                raise TeacherError(
                    f"the teacher {self.path} answers {samples} samples of the task {task.name!r} with logits of shape "
                    f"{found}, where {wanted} is needed; use a model that was trained for these classes."
                )
