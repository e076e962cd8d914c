"""A module as an ONNX file, in fp32 with a free batch size: the only place that imports onnx."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from supernet.errors import BundleError, ExportError
from supernet.modes import evaluation_mode

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

OPSET = 20


def export_onnx(module: nn.Module, example: Tensor, path: Path) -> None:
    """Write `module` in evaluation mode to `path`, weights inside the file, input `input`, output `output`.

    `example` is one input with a batch axis; its batch size is left free in the file.  Raises `ExportError`
    with the exporter's own words where an operation has no ONNX form, and where the file cannot be written.
    """
    import torch  # here, so that a bundle is verified without it

    from supernet.training.checkpoint import write_atomically

    # A batch of one would be taken for a constant by torch.export.
    batch = example if len(example) > 1 else torch.cat([example, example])
    try:
        with _quiet(), evaluation_mode(module):
            program = torch.onnx.export(
                module,
                (batch,),
                dynamo=True,
                opset_version=OPSET,
                optimize=True,
                verbose=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        assert program is not None
        proto = program.model_proto
        _strip(proto)
        content: bytes = proto.SerializeToString()
    except Exception as error:
        raise ExportError(f"{type(module).__name__} cannot be exported to ONNX: {_first_lines(error)}") from error
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ExportError(
            f"cannot write {path}: {error.strerror or error}; free space or fix the permissions, then export again."
        ) from error


def check_onnx(path: Path) -> None:
    """Raises `BundleError` where the file is not a valid model."""
    import onnx

    try:
        onnx.checker.check_model(onnx.load(path, load_external_data=False), full_check=True)
    except Exception as error:
        raise BundleError(f"{path} is not a valid ONNX model: {_first_lines(error)}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints progress and warns of its own internals; none of it is news to the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _strip(part: Any) -> None:
    """Remove what the exporter notes about every node: source lines and paths of this machine.

    Walks through the whole model, since branches and loops hold graphs of their own.
    """
    for field, value in part.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            part.ClearField(field.name)
        elif field.message_type is not None:
            for child in value if isinstance(value, Sequence) else (value,):
                _strip(child)


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split("\n")[:3])[:500] or type(error).__name__
