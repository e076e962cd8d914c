"""ONNX with convolutions and linear maps in 8 bits, whose ranges are fixed beforehand by training samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from torch import nn

from supernet.compression import suspended
from supernet.export.calibrated import quantize_file
from supernet.export.formats.format import all_or_none
from supernet.export.formats.full import EXAMPLES, OnnxFile
from supernet.export.onnx import export_onnx

if TYPE_CHECKING:
    from supernet.tasks.task import Task

SAMPLES = 256  # of the training split, that ranges are taken from
AT_ONCE = 32

_STORED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, kw_only=True)
class Static(OnnxFile):
    """Quantized after training, also what the architecture stores in other bits."""

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """Where there is nothing to store in 8 bits."""
        del task
        if any(isinstance(child, _STORED) for child in module.modules()):
            return None
        return f"{type(module).__name__} has no convolution and no linear map (nn.Linear) to store in 8 bits."

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """See `Format`."""
        from supernet.training.checkpoint import write_atomically

        inputs = task.example(min(SAMPLES, len(task.train)))
        with TemporaryDirectory(prefix="supernaut-") as scratch, all_or_none(folder, (self.file,)):
            full = Path(scratch) / "model.onnx"
            with suspended(module):
                export_onnx(module, task.example(EXAMPLES), full)
            content = quantize_file(full, (inputs[at : at + AT_ONCE].numpy() for at in range(0, len(inputs), AT_ONCE)))
            write_atomically(folder / self.file, content)
        return (self.file,)


STATIC = Static(
    name="onnx-int8-static",
    about="ONNX, convolutions and linear maps in 8 bits, inputs rounded by ranges of training samples; free batch size",
    file="model-int8-static.onnx",
)
