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
        self._input = self._session.get_inputs()[0]

    def run(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """The first output for one batch of the first input.  Raises `ExportError` if the file refuses it."""
        try:
            output: NDArray[Any] = self._session.run(None, {self._input.name: inputs})[0]
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot run {self._path} on inputs of {inputs.shape}: {error}") from error
        return output

    def run_each(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """The same, one sample at a time: what a file that rounds its inputs computes depends on the batch."""
        return np.concatenate([self.run(inputs[row : row + 1]) for row in range(len(inputs))])

    def example(self, batch: int) -> NDArray[Any]:
        """An input of the file's own shape: seeded noise, or zeros for token ids."""
        shape = [size if isinstance(size, int) else batch for size in self._input.shape]
        if self._input.type == "tensor(float)":
            return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        if self._input.type == "tensor(int64)":
            return np.zeros(shape, dtype=np.int64)
        raise ExportError(f"the input {self._input.name} has type {self._input.type}; float and int64 are supported.")


def runtime_version() -> str:
    """What a measurement records as its runtime."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"
