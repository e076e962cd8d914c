"""ONNX with weights and computation in float16, inputs and outputs as they were.

The half module itself is exported, with casts at its borders, so that tracing decides what is float16 and what stays
float32 (angles of rotary positions); rewriting types in a finished graph would have to guess that.  Where ONNX
Runtime has no float16 kernel, as for most operators on x86, it inserts casts: the file is half as large, not faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from supernet.compression import QuantizedLinear
from supernet.errors import ExportError
from supernet.export.formats.format import all_or_none, private_copy
from supernet.export.formats.full import EXAMPLES, OnnxFile
from supernet.export.onnx import export_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.tasks.task import Task


class _HalfInside(nn.Module):
    """A module in float16 that reads and gives float32, or reads identifiers."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.half()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x.half() if x.is_floating_point() else x)
        return out.float()


@dataclass(frozen=True, kw_only=True)
class Half(OnnxFile):
    """Everything in float16."""

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """Where the architecture asks for fewer bits still."""
        del task
        few = sorted({child.bits for child in module.modules() if isinstance(child, QuantizedLinear)})
        if not few:
            return None
        return (
            f"the architecture stores linear maps in {' and '.join(map(str, few))} bits, whose kernels compute in "
            "float32; use onnx, which keeps these bits."
        )

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """See `Format`.  Raises `ExportError` also where values are too large for float16."""
        example = task.example(EXAMPLES)
        with all_or_none(folder, (self.file,)):
            export_onnx(_HalfInside(private_copy(module)), example, folder / self.file)
            if not np.isfinite(self.open(folder)(example.numpy())).all():
                raise ExportError(
                    f"{type(module).__name__} in float16 gives NaN or infinite values for real inputs; use onnx."
                )
        return (self.file,)


HALF = Half(
    name="onnx-fp16",
    about="ONNX, weights and computation in float16, float32 inputs and outputs; free batch size",
    file="model-fp16.onnx",
)
