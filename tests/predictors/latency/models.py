"""Tiny ONNX files, written directly: the exporter would take seconds."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path


def write_products(path: Path, *, products: int, width: int = 64) -> Path:
    """`products` matrix products of (batch, width) with (width, width), one after the other."""
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", width]) for n in ("input", "output")]
    matrix = numpy_helper.from_array(np.eye(width, dtype=np.float32), "matrix")
    names = ["input", *(f"hidden{n}" for n in range(products - 1)), "output"]
    nodes = [helper.make_node("MatMul", [a, "matrix"], [b]) for a, b in itertools.pairwise(names)]
    graph = helper.make_graph(nodes, "products", values[:1], values[1:], [matrix])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path
