"""ONNX Runtime sessions: the only place that imports onnxruntime.

Imports no torch, so that the process that times a model stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ERRORS_ONLY = 3  # of ONNX Runtime's log levels


class Session:
    """An ONNX file opened on the CPU with a fixed number of threads."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen unrelated types here
            raise ExportError(f"ONNX Runtime cannot open {path}: {error}") from error
        self._path = path
        self._inputs = self._session.get_inputs()

    @property
    def axes(self) -> tuple[int | str, ...]:
        """The shape of the first input: sizes, and names for axes whose size is free."""
        return tuple(self._inputs[0].shape)

    def run(self, *inputs: NDArray[Any]) -> NDArray[Any]:
        """The first output for one batch of each input.  Raises `ExportError` if the file refuses it."""
        try:
            feeds = {known.name: given for known, given in zip(self._inputs, inputs, strict=True)}
            output: NDArray[Any] = self._session.run(None, feeds)[0]
        except Exception as error:
            shapes = ", ".join(str(given.shape) for given in inputs)
            raise ExportError(f"ONNX Runtime cannot run {self._path} on inputs of {shapes}: {error}") from error
        return output

    def run_each(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """The same, one sample at a time: what a file that rounds its inputs computes depends on the batch."""
        return np.concatenate([self.run(inputs[row : row + 1]) for row in range(len(inputs))])

    def example(self, batch: int) -> tuple[NDArray[Any], ...]:
        """Inputs of the file's own shapes: seeded noise, or zeros for token ids."""
        return tuple(_example(known, batch) for known in self._inputs)


def _example(known: Any, batch: int) -> NDArray[Any]:
    shape = [size if isinstance(size, int) else batch for size in known.shape]
    if known.type == "tensor(float)":
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    if known.type == "tensor(int64)":
        return np.zeros(shape, dtype=np.int64)
    raise ExportError(f"the input {known.name} has type {known.type}; float and int64 are supported.")


def runtime_version() -> str:
    """What a measurement records as its runtime."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"
