"""Owns the scale on which a metric is learned and improved: as it is, or its logarithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


_REACH = 10.0  # how far below the smallest value seen a logarithm is trusted


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A strictly increasing map of one metric."""

    floor: float | None  # None: values as they are; else logarithms above the floor and their tangent below it

    @classmethod
    def learned(cls, values: npt.ArrayLike) -> Scale:
        """The better of the two under a normal distribution of the mapped values.

        That is the profile likelihood of Box and Cox (1964, eq. 8) at powers 1 and 0. Only positive values
        that are not all equal have a logarithm worth taking.
        """
        known = np.asarray(values, dtype=np.float64)
        if len(known) < 3 or known.min() <= 0 or np.ptp(known) <= 1e-12 * known.max():
            return cls(floor=None)
        logs = np.log(known)
        plain = -np.log(known.std())
        logarithmic = -np.log(logs.std()) - logs.mean()
        return cls(floor=float(known.min()) / _REACH if logarithmic > plain else None)

    def forward(self, values: npt.ArrayLike) -> FloatArray:
        """The values on this scale. An error of 0 that comes later must not become minus infinity."""
        known = np.asarray(values, dtype=np.float64)
        if self.floor is None:
            return known
        tangent = np.log(self.floor) + known / self.floor - 1.0
        return np.where(known > self.floor, np.log(np.maximum(known, self.floor)), tangent)
