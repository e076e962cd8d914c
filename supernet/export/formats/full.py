"""ONNX in the precision that the architecture says, layer by layer: what is measured, and what others are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernet.export.onnx import export_onnx
from supernet.export.runtime import Session

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from supernet.export.formats.format import Axes, Runner
    from supernet.tasks.task import Task

EXAMPLES = 2  # a batch of one would be taken for a constant


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """A format whose files are one ONNX model, run by ONNX Runtime one sample at a time.

    Files that round their inputs give answers that depend on the batch; scores are those of a batch of one.
    """

    name: str
    about: str
    file: str
    exact: bool = False
    runs_code: bool = False

    def open(self, folder: Path) -> Runner:
        """ONNX Runtime on one thread."""
        return Session(folder / self.file).run_each

    def axes(self, folder: Path) -> Axes:
        """As the file says."""
        return Session(folder / self.file).axes


@dataclass(frozen=True, kw_only=True)
class Full(OnnxFile):
    """The module as it is."""

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """None: whether each operation has an ONNX form shows when it is written."""
        del module, task
        return None

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """See `Format`."""
        export_onnx(module, task.example(EXAMPLES), folder / self.file)
        return (self.file,)


FULL = Full(
    name="onnx",
    about="ONNX, each layer in the bits that the architecture says; free batch size",
    file="model.onnx",
    exact=True,
)
