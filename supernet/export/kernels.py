"""Which integer kernels ONNX Runtime has on this machine, and whether they are exact: found by running each once."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from supernet.errors import ExportError
from supernet.export.onnx import integer_probe
from supernet.export.runtime import Session

_LARGEST_UNSIGNED, _LARGEST_SIGNED = 255, 127


@cache
def signed_int8_is_exact() -> bool:
    """Whether products of uint8 inputs and int8 weights are exact.

    Without dot-product instructions (VNNI), x86 processors add pairs of them in 16 bits, which saturate.
    """
    inputs = np.full((4, 64), _LARGEST_UNSIGNED, dtype=np.uint8)
    weights = np.full((64, 64), _LARGEST_SIGNED, dtype=np.int8)
    products = _run(integer_probe(weights), inputs)
    return bool((products == 64 * _LARGEST_UNSIGNED * _LARGEST_SIGNED).all())


@cache
def missing_kernel(bits: int) -> str | None:
    """Why ONNX Runtime cannot multiply with weights of so many bits here; None where it can."""
    try:
        if bits == 8:
            _run(integer_probe(np.ones((64, 64), dtype=np.int8)), np.ones((4, 64), dtype=np.uint8))
        elif bits == 4:
            _run(integer_probe(np.zeros((64, 2, 16), dtype=np.uint8)), np.ones((4, 64), dtype=np.float32))
    except ExportError as error:
        return str(error)
    return None


def _run(model: bytes, inputs: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory(prefix="supernaut-") as folder:
        path = Path(folder) / "probe.onnx"
        path.write_bytes(model)
        return Session(path).run(inputs)
