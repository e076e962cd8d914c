"""Static 8-bit quantization of an ONNX file by ONNX Runtime's own tools.  The importer of onnxruntime.quantization.

Inputs and weights of convolutions and linear maps are rounded to signed 8 bits, weights with a scale for each output
feature, inputs with one range each, which real samples fix beforehand: results do not depend on the batch.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from supernet.errors import ExportError
from supernet.export.kernels import signed_int8_is_exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

# Convolutions and linear maps, and what stands between two convolutions and can be folded into the rounding.
OPERATORS = ("Conv", "Gemm", "MatMul", "Relu", "Clip")


def quantize_file(path: Path, batches: Iterable[NDArray[Any]]) -> bytes:
    """The content of a file that computes what the one at `path`, of a single input, does, in 8 bits.

    `batches` are real inputs.  Raises `ExportError` where ONNX Runtime's tools fail or find nothing to quantize.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is not typed
        def __init__(self, name: str) -> None:
            self._feeds: Iterator[dict[str, NDArray[Any]]] = ({name: batch} for batch in batches)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(self._feeds, None)

    level = logging.root.level
    with TemporaryDirectory(prefix="supernaut-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.root.setLevel(logging.ERROR)  # its tools warn of their own habits on the root logger
        try:
            model = onnx.load(path)
            # Shapes that the exporter noted would contradict those of the rewritten graph.
            del model.graph.value_info[:]
            (given,) = (one.name for one in model.graph.input)
            stripped, prepared, finished = (
                Path(folder) / f"{name}.onnx" for name in ("stripped", "prepared", "finished")
            )
            onnx.save(model, stripped)
            # Folds batch normalisations into convolutions, which could not be done after rounding.
            quant_pre_process(stripped, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                finished,
                Reader(given),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                reduce_range=not signed_int8_is_exact(),
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},  # products of two activations stay exact
            )
            content = finished.read_bytes()
        except Exception as error:  # of onnx, of onnxruntime and of its tools
            raise ExportError(f"{path.name} cannot be quantized statically: {error}") from error
        finally:
            logging.root.setLevel(level)
    if not any(node.op_type == "QuantizeLinear" for node in onnx.load_from_string(content).graph.node):
        raise ExportError(f"{path.name} holds no convolution and no linear map to store in 8 bits.")
    return content
