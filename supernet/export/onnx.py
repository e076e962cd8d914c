"""A module as one ONNX file with a free batch size, quantized maps as integer operators.  The importer of onnx."""

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

    from numpy.typing import NDArray
    from torch import Tensor, nn

OPSET = 20
IR_VERSION = 10  # of the probes; what the exporter writes, and older than what runtimes read


def export_onnx(module: nn.Module, example: Tensor | Sequence[Tensor], path: Path) -> None:
    """Write `module` in evaluation mode to `path`, weights inside the file.

    `example` is one input with a batch axis, or several; the batch size is left free in the file.  A single input is
    called `input`, several `input_0`, `input_1` and so on, and likewise the outputs.  Raises `ExportError` with the
    exporter's own words where an operation has no ONNX form, and where the file cannot be written.
    """
    import torch  # here, so that a bundle is verified without it

    from supernet.export.kernels import signed_int8_is_exact
    from supernet.export.operators import operators_read_once
    from supernet.export.quantized import lowered
    from supernet.training.checkpoint import write_atomically

    inputs = (example,) if isinstance(example, torch.Tensor) else tuple(example)
    # A batch of one would be taken for a constant by torch.export.
    batch = tuple(one if len(one) > 1 else torch.cat([one, one]) for one in inputs)
    # By tensor: `forward` may take its inputs as *args, which nests them.
    free = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    for one in batch:
        free[one] = {0: torch.export.Dim("batch")}
    try:
        signed = signed_int8_is_exact()
        with _quiet(), operators_read_once(), lowered(module, signed=signed) as deployed, evaluation_mode(deployed):
            with torch.no_grad():
                outputs = deployed(*batch)
            program = torch.onnx.export(
                deployed,
                batch,
                dynamo=True,
                opset_version=OPSET,
                optimize=True,
                verbose=False,
                input_names=_names("input", len(batch)),
                output_names=_names("output", 1 if isinstance(outputs, torch.Tensor) else len(outputs)),
                dynamic_shapes=free.dynamic_shapes(deployed, batch),  # type: ignore[no-untyped-call]
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


def _names(what: str, count: int) -> list[str]:
    return [what] if count == 1 else [f"{what}_{index}" for index in range(count)]


def check_onnx(path: Path) -> None:
    """Raises `BundleError` where the file is not a valid model."""
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)  # by path: weights may lie beside it
    except Exception as error:
        raise BundleError(f"{path} is not a valid ONNX model: {_first_lines(error)}") from error


def weight_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold weights of it, as exporters write them for large models.

    Raises `ExportError` where it is no ONNX file, though a runtime may open it.
    """
    import onnx

    try:
        weights = onnx.load(path, load_external_data=False).graph.initializer
    except Exception as error:
        raise ExportError(f"{path} is not an ONNX model: {_first_lines(error)}.") from error
    named = {entry.value for weight in weights for entry in weight.external_data if entry.key == "location"}
    return [path.parent / name for name in sorted(named)]


def external_files(path: Path) -> list[str]:
    """Where an ONNX file says that values lie outside of it, in any of its graphs, as it writes it.

    Raises `BundleError` where it is no ONNX file.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise BundleError(f"{path} is not a valid ONNX model: {_first_lines(error)}") from error
    return sorted(
        {entry.value for tensor in _tensors(model) for entry in tensor.external_data if entry.key == "location"}
    )


def _tensors(part: Any) -> Iterator[Any]:
    """Every tensor below a message of an ONNX file: those of branches, loops and constants, too."""
    if part.DESCRIPTOR.name == "TensorProto":
        yield part
        return
    for field, value in part.ListFields():
        if field.message_type is not None:
            for child in value if isinstance(value, Sequence) else (value,):
                yield from _tensors(child)


def rounds_inputs(path: Path) -> bool:
    """Whether the file rounds inputs of its layers to 8 bits, so that its results depend on the batch."""
    import onnx

    return any(node.op_type == "DynamicQuantizeLinear" for node in onnx.load(path).graph.node)


def integer_probe(weights: NDArray[Any]) -> bytes:
    """A model of one integer product, to see whether a runtime has the kernel.

    int8 or uint8 weights (inputs, outputs) for MatMulInteger with uint8 inputs; packed 4-bit weights
    (outputs, blocks, 16) for MatMulNBits with float inputs and scales of 1.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    constants = [numpy_helper.from_array(weights, "weights")]
    opsets = [helper.make_opsetid("", OPSET)]
    if weights.ndim == 2:
        node = helper.make_node("MatMulInteger", ["input", "weights"], ["output"])
        kinds, inputs = (TensorProto.UINT8, TensorProto.INT32), weights.shape[0]
    else:
        outputs, blocks, half = weights.shape
        inputs = blocks * half * 2
        constants.append(numpy_helper.from_array(np.ones((outputs, blocks), dtype=np.float32), "scales"))
        opsets.append(helper.make_opsetid("com.microsoft", 1))
        node = helper.make_node(
            "MatMulNBits",
            ["input", "weights", "scales"],
            ["output"],
            domain="com.microsoft",
            K=inputs,
            N=outputs,
            bits=4,
            block_size=half * 2,
        )
        kinds = (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [node],
        "probe",
        [helper.make_tensor_value_info("input", kinds[0], ["rows", inputs])],
        [helper.make_tensor_value_info("output", kinds[1], ["rows", "columns"])],
        constants,
    )
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
    return content


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
