"""ONNX with a memory: one step of a language model, what its layers remember as inputs and outputs (the KV cache).

Beside it stands an example that decodes greedily, which is also what runs the file here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from supernet.compression import QuantizedLinear
from supernet.errors import ExportError
from supernet.export.formats.format import all_or_none
from supernet.export.formats.full import EXAMPLES
from supernet.export.onnx import export_onnx
from supernet.export.parity import check_parity
from supernet.export.runtime import Session
from supernet.models.decoding import DecodeStep
from supernet.tasks.task import predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from supernet.export.formats.format import Axes, Runner
    from supernet.tasks.task import Task

_EXAMPLE = Path(__file__).with_name("decode_example.py")
_CHECKED = 2, 48  # samples and their first tokens that are decoded to see whether the file is right


@dataclass(frozen=True, kw_only=True)
class Decode:
    """One step, with room for as many earlier tokens as the task's samples have."""

    name: str = "onnx-decode"
    about: str = "ONNX, one token at a time with its states (KV cache) as inputs and outputs, and a greedy decoder"
    file: str = "decode.onnx"
    example: str = "decode.py"
    exact: bool = False  # maps of 8 bits round a token, not a sequence; others are compared when written
    runs_code: bool = False

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """For anything but a language model that can go token by token."""
        if task.kind != "tokens" or not task.per_position:
            return f"only models of language are decoded; the task {task.name!r} does not predict the next token."
        if task.vocabulary is not None and task.classes > task.vocabulary:
            return (
                f"the task {task.name!r} has {task.classes} classes and {task.vocabulary} tokens: what is predicted "
                "cannot be read back."
            )
        layers = getattr(module, "layers", None)
        if not isinstance(layers, nn.ModuleList) or not all(
            hasattr(one, "start") and hasattr(one, "step") for one in layers
        ):
            return f"{type(module).__name__} has no layers that can go token by token (start and step)."
        return None

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """See `Format`.  Where nothing is rounded to 8 bits, the file is compared with the parallel form."""
        import torch

        from supernet.training.checkpoint import write_atomically

        (room,) = task.input_shape
        step = DecodeStep(module)
        token_B = task.example(EXAMPLES)[:, 0]
        given = (token_B, torch.zeros_like(token_B), *step.start(EXAMPLES, room))
        with all_or_none(folder, (self.file, self.example)):
            export_onnx(step, given, folder / self.file)
            write_atomically(folder / self.example, _EXAMPLE.read_bytes())
            if not any(isinstance(child, QuantizedLinear) and child.bits == 8 for child in module.modules()):
                samples, tokens = _CHECKED
                inputs = task.example(samples)[:, :tokens]
                check_parity(predict(module, inputs).numpy(), self.open(folder)(inputs.numpy()), self.file)
        return (self.file, self.example)

    def open(self, folder: Path) -> Runner:
        """ONNX Runtime on one thread, as often as a sequence has tokens."""
        from supernet.export.formats.decode_example import Decoder

        file = folder / self.file
        Session(file)  # says in words what is wrong with it

        def run(inputs: NDArray[Any]) -> NDArray[Any]:
            decoder = Decoder(file, batch=len(inputs))
            try:
                return np.stack([decoder.next(tokens) for tokens in inputs.T], 1)
            except Exception as error:  # onnxruntime raises a dozen unrelated types here
                raise ExportError(f"ONNX Runtime cannot decode with {file}: {error}") from error

        return run

    def axes(self, folder: Path) -> Axes:
        """A sequence may be of any length."""
        del folder
        return ("batch", "tokens")


DECODE = Decode()
