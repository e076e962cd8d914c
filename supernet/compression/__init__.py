"""Compression: what makes a plain module smaller without changing the names of its parameters.

`compressed(build)` gives the build whose modules carry what their architecture answers ("layers.3.bits": 8); it acts
on borrowed and extracted modules alike, because both start from `build`.  `apply` does the same to any one module.
"""

from __future__ import annotations

from supernet.compression.policy import Policy, apply, compressed, suspended
from supernet.compression.quantize import BLOCK, QuantizedLinear, stored_bytes

__all__ = [
    "Policy",
    "apply",
    "compressed",
    "suspended",
    "QuantizedLinear",
    "stored_bytes",
    "BLOCK",
]
