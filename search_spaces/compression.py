"""The answers that a choice about compression may have.  What they mean for a module is `supernet.compression`'s."""

from __future__ import annotations

WEIGHT_BITS = (4, 8, 32)  # of a stored weight
FULL_PRECISION = 32  # float32: not quantized
