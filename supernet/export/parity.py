"""Whether two runtimes compute the same: logits within a tolerance, decisions equal except at near ties.

Works on NumPy arrays, so that a bundle can be checked without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import ParityError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABSOLUTE, RELATIVE = 1e-4, 1e-4
# Where inputs are rounded to 8 bits, the last digits of a float decide between two codes: logits may differ by this
# share of their spread.  Measured on random digits networks of up to six layers: at most 0.004.
ROUNDED = 0.03


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far two sets of logits are apart."""

    samples: int
    largest_difference: float  # absolute, over all logits
    decisions_changed: int  # where the two best logits are further apart than the tolerance


def check_parity(expected: NDArray[Any], actual: NDArray[Any], what: str, *, rounds_inputs: bool = False) -> Parity:
    """Compare logits of shape (samples, classes) or (samples, positions, classes).

    Raises `ParityError` where they differ by more than 1e-4 + 1e-4 * |expected|, are not finite, or where a
    decision changed although its two best logits were further apart than that.  For a file that `rounds_inputs` to
    8 bits the tolerance is 0.03 of the standard deviation of all expected logits, if that is more.
    """
    if expected.ndim < 2 or expected.size < 1 or expected.shape[-1] < 2:
        raise ParityError(
            f"{what}: parity needs logits of shape (samples, ..., two or more classes), got {expected.shape}."
        )
    if expected.shape != actual.shape:
        raise ParityError(f"{what}: the outputs have shape {actual.shape} instead of {expected.shape}.")
    for whose, logits in (("PyTorch module's", expected), ("exported file's", actual)):
        if not np.isfinite(logits).all():
            raise ParityError(f"{what}: the {whose} outputs hold NaN or infinite values.")
    tolerance = ABSOLUTE + RELATIVE * np.abs(expected)
    if rounds_inputs:
        tolerance = np.maximum(tolerance, ROUNDED * expected.std())
    difference = np.abs(expected - actual)
    best_two = np.partition(expected, -2, axis=-1)[..., -2:]
    decided = best_two[..., 1] - best_two[..., 0] > tolerance.max(axis=-1)
    changed = int((decided & (expected.argmax(-1) != actual.argmax(-1))).sum())
    parity = Parity(samples=len(expected), largest_difference=float(difference.max()), decisions_changed=changed)
    if (difference > tolerance).any() or changed:
        raise ParityError(
            f"{what}: the exported file differs from the PyTorch module by up to "
            f"{parity.largest_difference:.2e} (allowed: up to {float(tolerance.max()):.2e}) and changes "
            f"{changed} of {decided.size} decisions."
        )
    return parity
