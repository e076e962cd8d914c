"""Scores of exported files in what runs them, one sample at a time: for those who write a bundle and who verify it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from supernet.errors import ParityError
from supernet.export.bundle import run_each
from supernet.export.onnx import rounds_inputs
from supernet.export.parity import check_parity
from supernet.export.runtime import Session
from supernet.tasks.task import predict

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from supernet.export.formats.format import Format
    from supernet.tasks.task import Split, Task


def score_files(
    made: Format, folder: Path, main: str, task: Task, split: Split, module: nn.Module | None = None
) -> dict[str, float]:
    """The metrics of the files of a format on a split, checked against `module` where the format is exact.

    `main` is its main file in `folder`.  Raises `ParityError` where it computes something else, or no numbers.
    """
    run = made.open(folder)
    actual = np.concatenate([run_each(run, batch.numpy()) for batch in split.batches()])
    path = folder / main
    if module is not None and made.exact:
        rounds = path.suffix == ".onnx" and rounds_inputs(path)
        check_parity(predict(module, split).numpy(), actual, str(path), rounds_inputs=rounds)
    if not np.isfinite(actual).all():
        raise ParityError(f"{path}: the outputs hold NaN or infinite values.")
    return task.measure(torch.from_numpy(actual), split.targets)


def is_timed(path: Path) -> bool:
    """Whether the latency of a file is comparable with that of the main one: an ONNX model of one input."""
    return path.suffix == ".onnx" and len(Session(path).example(1)) == 1
