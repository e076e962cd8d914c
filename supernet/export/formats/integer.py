"""ONNX with all linear maps in few bits, by the same kernels as architectures that ask for these bits.

Everything else (convolutions, normalisations, embeddings, attention itself) stays in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from supernet.compression import Policy, apply
from supernet.errors import CompressionError
from supernet.export.formats.format import private_copy
from supernet.export.formats.full import EXAMPLES, OnnxFile
from supernet.export.kernels import missing_kernel
from supernet.export.onnx import export_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class IntegerMaps(OnnxFile):
    """All linear maps in so many bits, also those that the architecture stores in others."""

    bits: int

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """Where there are no plain linear maps, or ONNX Runtime cannot compute with them here."""
        del task
        if not any(isinstance(child, nn.Linear) for child in module.modules()):
            return f"{type(module).__name__} has no linear map (nn.Linear) to store in {self.bits} bits."
        try:
            self._compressed(module)
        except CompressionError as error:
            return str(error)
        missing = missing_kernel(self.bits)
        return None if missing is None else f"ONNX Runtime has no {self.bits}-bit products on this machine: {missing}"

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """See `Format`."""
        export_onnx(self._compressed(module), task.example(EXAMPLES), folder / self.file)
        return (self.file,)

    def _compressed(self, module: nn.Module) -> nn.Module:
        copied = private_copy(module)
        for child in copied.modules():
            # Subclasses that only say how their weights are shared compute as their base does.
            if isinstance(child, nn.Linear) and type(child).forward is nn.Linear.forward:
                child.__class__ = nn.Linear
        return apply(copied, Policy(bits={"": self.bits}))


INT8 = IntegerMaps(
    name="onnx-int8",
    about="ONNX, all linear maps with weights and inputs of 8 bits, inputs rounded as they come; free batch size",
    file="model-int8.onnx",
    bits=8,
)
INT4 = IntegerMaps(
    name="onnx-int4",
    about="ONNX, all linear maps with weights of 4 bits in blocks of 32; free batch size",
    file="model-int4.onnx",
    bits=4,
)
