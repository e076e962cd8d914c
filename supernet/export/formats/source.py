"""The network as readable Python that needs torch alone, and its weights.

Made of the module itself: the classes that it computes with, cut out of their files, and its tree with every size
written out.  What was written is run once and compared before it counts.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supernet.errors import ExportError
from supernet.export.formats.format import all_or_none
from supernet.export.formats.full import EXAMPLES
from supernet.export.parity import check_parity
from supernet.export.source.file import written
from supernet.tasks.task import predict

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from supernet.export.formats.format import Axes, Runner
    from supernet.tasks.task import Task

_MODULE = "supernaut_exported_network"  # the name under which a written file is imported


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """`from model import load; load()` is the network in evaluation mode, with its weights."""

    name: str = "source"
    about: str = "the network as one readable Python file, run by torch alone, and its weights; free batch size"
    file: str = "model.py"
    weights: str = "model.safetensors"
    exact: bool = True
    runs_code: bool = True

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """Where some part of the module cannot be written out."""
        try:
            self._text(module, task)
        except ExportError as error:
            return str(error)
        return None

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """See `Format`."""
        from safetensors import SafetensorError
        from safetensors.torch import save_model

        from supernet.training.checkpoint import write_atomically

        text = self._text(module, task)
        inputs = task.example(EXAMPLES)
        expected = predict(module, inputs).numpy()
        with all_or_none(folder, (self.file, self.weights)):
            write_atomically(folder / self.file, text.encode())
            try:
                save_model(module, str(folder / self.weights))
            except SafetensorError as error:
                raise ExportError(f"cannot write {folder / self.weights}: {error}") from error
            check_parity(expected, self.open(folder)(inputs.numpy()), self.file)
        return (self.file, self.weights)

    def open(self, folder: Path) -> Runner:
        """PyTorch on the CPU, running the written file."""
        import torch

        path = folder / self.file
        spec = importlib.util.spec_from_file_location(_MODULE, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[_MODULE] = module  # dataclasses look themselves up there
        writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            spec.loader.exec_module(module)
            network = module.load(folder)
        except Exception as error:  # it is code, and may raise anything
            raise ExportError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
        finally:
            sys.dont_write_bytecode = writes
            del sys.modules[_MODULE]

        def run(inputs: NDArray[Any]) -> NDArray[Any]:
            with torch.no_grad():
                outputs: NDArray[Any] = network(torch.from_numpy(inputs)).numpy()
            return outputs

        return run

    def _text(self, module: nn.Module, task: Task) -> str:
        return written(module, kind=task.kind, shape=task.input_shape, weights=self.weights)

    def axes(self, folder: Path) -> Axes:
        """Whatever the network reads; the file says what it was made for."""
        del folder
        return ("batch", "as in model.py")


SOURCE = SourceFile()
