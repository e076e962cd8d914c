"""The graph of `torch.export`: one file that torch alone loads and runs."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supernet.errors import ExportError
from supernet.export.formats.format import all_or_none
from supernet.export.formats.full import EXAMPLES
from supernet.modes import evaluation_mode

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from supernet.export.formats.format import Axes, Runner
    from supernet.tasks.task import Task

_UNLIMITED = 2**31  # from here on a limit is that of the tracer's integers
_OF_THIS_MACHINE = ("stack_trace",)  # what the exporter notes of a node, with paths of files


@dataclass(frozen=True, kw_only=True)
class TorchExport:
    """`torch.export.load("model.pt2").module()` is the network; a sequence's length is free where the network lets it.

    Maps of few bits compute with decoded integers in float32, as in training.
    """

    name: str = "torch-export"
    about: str = "the graph of torch.export, run by torch alone; free batch size"
    file: str = "model.pt2"
    exact: bool = True
    runs_code: bool = True  # torch reads parts of the file with pickle (torch/export/pt2_archive, 2.13)

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """None: whether the module can be traced shows when it is written."""
        del module, task
        return None

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """See `Format`."""
        import torch

        from supernet.training.checkpoint import write_atomically

        example = task.example(EXAMPLES)
        try:
            with warnings.catch_warnings(), evaluation_mode(module), torch.no_grad():
                warnings.simplefilter("ignore")
                program = _traced(module, example, free_length=task.kind == "tokens")
            _strip(program)
            content = io.BytesIO()
            torch.export.save(program, content)
        except Exception as error:  # the exporter raises errors of its own, of torch and of sympy
            words = " ".join(str(error).split("\n")[:3])[:500] or type(error).__name__
            raise ExportError(f"{type(module).__name__} cannot be exported with torch.export: {words}") from error
        with all_or_none(folder, (self.file,)):
            write_atomically(folder / self.file, content.getvalue())
        return (self.file,)

    def open(self, folder: Path) -> Runner:
        """PyTorch on the CPU."""
        import torch

        network = self._load(folder).module()

        def run(inputs: NDArray[Any]) -> NDArray[Any]:
            with torch.no_grad():
                outputs: NDArray[Any] = network(torch.from_numpy(inputs)).numpy()
            return outputs

        return run

    def axes(self, folder: Path) -> Axes:
        """As the graph says."""
        program = self._load(folder)
        (name,) = program.graph_signature.user_inputs
        (node,) = (node for node in program.graph.nodes if node.name == name)
        sizes = zip(node.meta["val"].shape, ("batch", "tokens"), strict=False)
        free = [size if isinstance(size, int) else _free(name, program, size) for size, name in sizes]
        return (*free, *map(int, node.meta["val"].shape[len(free) :]))

    def _load(self, folder: Path) -> ExportedProgram:
        import torch

        try:
            return torch.export.load(folder / self.file)
        except Exception as error:  # torch raises a dozen unrelated types here
            raise ExportError(f"torch cannot load {folder / self.file}: {error}") from error


def _free(name: str, program: ExportedProgram, size: Any) -> str:
    """The name of a free axis, and its limit if it has one."""
    limit = program.range_constraints[size.node.expr].upper
    return f"{name} (at most {limit})" if limit < _UNLIMITED else name


def _traced(module: nn.Module, example: Tensor, *, free_length: bool) -> ExportedProgram:
    """With a free length where asked for and possible: else up to that of the example, else only that.

    A network that computes long sequences in another way than short ones, or has a table of positions, is bound so.
    """
    import torch

    batch, tokens = torch.export.Dim("batch"), "tokens"
    lengths = (torch.export.Dim(tokens), torch.export.Dim(tokens, max=example.shape[-1])) if free_length else ()
    for length in lengths:
        try:
            return torch.export.export(module, (example,), dynamic_shapes=({0: batch, 1: length},))
        except Exception:  # noqa: BLE001  (of many types; if it is not the length, the last attempt says so)
            continue
    return torch.export.export(module, (example,), dynamic_shapes=({0: batch},))


def _strip(program: ExportedProgram) -> None:
    for part in program.graph_module.modules():
        for node in getattr(getattr(part, "graph", None), "nodes", ()):
            for name in _OF_THIS_MACHINE:
                node.meta.pop(name, None)


TORCH_EXPORT = TorchExport()
