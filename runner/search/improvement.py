"""Owns the expected gain in hypervolume of candidates with independent normal predictions (minimisation).

One to three objectives: the region that the front does not dominate is cut into boxes, and the expectation is
an exact sum over them (Emmerich, Deutz and Klinkenberg 2011; the boxes by one sweep, Yang et al. 2019). More
objectives need too many boxes: there the gain is a mean over random directions (Golovin and Zhang 2020,
"hypervolume scalarisation") and samples. An objective with standard deviation 0 is known exactly.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from math import gamma, pi
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from runner.search.pareto import non_dominated

FloatArray = npt.NDArray[np.float64]

MAX_BOX_OBJECTIVES = 3
_DIRECTIONS = 128
_SAMPLES = 8
_CHUNK = 1024  # candidates at once, so that candidates x boxes stays small


class Improvement(Protocol):
    """The gain that candidates promise over one front."""

    def expected(self, mean: FloatArray, std: FloatArray) -> FloatArray:
        """The expected gain of each row of means and standard deviations."""
        ...


def improvement_over(front: FloatArray, reference: FloatArray, seed: int) -> Improvement:
    """The gain over these points, bounded by the reference; the seed matters for four and more objectives."""
    inside = front[(front < reference).all(axis=1)]
    inside = inside[non_dominated(inside)] if len(inside) else inside
    if len(reference) <= MAX_BOX_OBJECTIVES:
        return BoxImprovement.over(inside, reference)
    return DirectionImprovement.over(inside, reference, np.random.default_rng(seed))


@dataclass(frozen=True, kw_only=True, eq=False)
class BoxImprovement:
    """The exact expectation over a partition of the non-dominated region into boxes."""

    lower: FloatArray  # a row a box; -inf where a box is open
    upper: FloatArray

    @classmethod
    def over(cls, front: FloatArray, reference: FloatArray) -> BoxImprovement:
        """Partition what the front leaves below the reference, for one to three objectives."""
        partition = (_one_box, _strips, _boxes)[len(reference) - 1]
        lower, upper = partition(front, reference)
        return cls(lower=lower, upper=upper)

    def expected(self, mean: FloatArray, std: FloatArray) -> FloatArray:
        gain = np.empty(len(mean))
        for start in range(0, len(mean), _CHUNK):
            rows = slice(start, start + _CHUNK)
            product = np.ones((len(mean[rows]), len(self.lower)))
            for column in range(mean.shape[1]):
                edges, where = np.unique(
                    np.concatenate([self.lower[:, column], self.upper[:, column]]), return_inverse=True
                )
                below = expected_shortfall(edges, mean[rows, column], std[rows, column])
                product *= below[:, where[len(self.lower) :]] - below[:, where[: len(self.lower)]]
            gain[rows] = product.sum(axis=1)
        return gain


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectionImprovement:
    """A mean over random directions of the gain in length along each."""

    reference: FloatArray
    directions: FloatArray  # unit vectors of the positive orthant, a row each
    reached: FloatArray  # for each direction, how far the front reaches
    normals: FloatArray  # standard normal samples, a row a sample
    volume: float  # of the part of the unit ball in the positive orthant

    @classmethod
    def over(cls, front: FloatArray, reference: FloatArray, rng: np.random.Generator) -> DirectionImprovement:
        """Draw directions and samples and note how far the front reaches."""
        count = len(reference)
        directions = np.abs(rng.standard_normal((_DIRECTIONS, count)))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        reached = np.zeros(_DIRECTIONS)
        for point in front:
            reached = np.maximum(reached, ((reference - point) / directions).min(axis=1))
        half = rng.standard_normal((_SAMPLES // 2, count))
        return cls(
            reference=reference,
            directions=directions,
            reached=reached,
            normals=np.vstack([half, -half]),
            volume=pi ** (count / 2) / (2**count * gamma(count / 2 + 1)),
        )

    def expected(self, mean: FloatArray, std: FloatArray) -> FloatArray:
        total = np.zeros(len(mean))
        power = len(self.reference)
        for normal in self.normals:
            room = np.maximum(self.reference - (mean + std * normal), 0.0)
            length = np.full((len(mean), len(self.directions)), np.inf)
            for column in range(power):
                np.minimum(length, room[:, column, None] / self.directions[:, column], out=length)
            gain = np.maximum(length, self.reached) ** power - self.reached**power
            total += gain.mean(axis=1)
        return self.volume * total / len(self.normals)


def expected_shortfall(edges: FloatArray, mean: FloatArray, std: FloatArray) -> FloatArray:
    """E[max(0, edge - Y)] for normal Y: a row a candidate, a column an edge; 0 at an edge of -inf."""
    finite = np.isfinite(edges)
    distance = np.where(finite, edges, 0.0)[None, :] - mean[:, None]
    spread = np.where(std > 0, std, 1.0)[:, None]
    scaled = distance / spread
    density = np.exp(-0.5 * scaled**2) / np.sqrt(2.0 * pi)
    uncertain = distance * ndtr(scaled) + spread * density
    shortfall = np.where(std[:, None] > 0, np.maximum(uncertain, 0.0), np.maximum(distance, 0.0))
    return np.where(finite[None, :], shortfall, 0.0)


def _one_box(front: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    upper = np.vstack([front, reference]).min(axis=0, keepdims=True)
    return np.full((1, 1), -np.inf), upper


def _strips(front: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One strip between each two neighbours of the front, below the left one."""
    points = np.unique(front, axis=0)
    edges = np.concatenate([[-np.inf], points[:, 0], reference[:1]])
    heights = np.concatenate([reference[1:], points[:, 1]])
    lower = np.stack([edges[:-1], np.full(len(heights), -np.inf)], axis=1)
    return lower, np.stack([edges[1:], heights], axis=1)


def _boxes(front: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sweep three objectives along the last; strips of the first two close where a point cuts them.

    A strip covers first values [lefts[i], lefts[i + 1]) and second values below heights[i], since starts[i].
    """
    lower: list[tuple[float, float, float]] = []
    upper: list[tuple[float, float, float]] = []
    lefts, heights, starts = [-np.inf], [float(reference[1])], [-np.inf]
    right = float(reference[0])

    def close(strip: int, end: float) -> None:
        if starts[strip] < end:
            edge = lefts[strip + 1] if strip + 1 < len(lefts) else right
            lower.append((lefts[strip], -np.inf, starts[strip]))
            upper.append((edge, heights[strip], end))

    for first, second, third in front[np.lexsort((front[:, 1], front[:, 0], front[:, 2]))].tolist():
        # Heights fall from left to right. The strip that holds `first` is cut, those after it with a greater
        # height are covered.
        begin = bisect.bisect_right(lefts, first) - 1
        if heights[begin] <= second:
            continue
        end = begin
        while end < len(lefts) and heights[end] > second:
            close(end, third)
            end += 1
        kept = begin + 1 if lefts[begin] < first else begin
        height = heights[begin]
        lefts[begin:end] = [lefts[begin], first] if kept > begin else [first]
        heights[begin:end] = [height, second] if kept > begin else [second]
        starts[begin:end] = [third, third] if kept > begin else [third]
    for strip in range(len(lefts)):
        close(strip, float(reference[2]))
    return np.array(lower).reshape(-1, 3), np.array(upper).reshape(-1, 3)
