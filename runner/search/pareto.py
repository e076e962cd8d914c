"""Owns the geometry of fronts: the non-dominated set, its hypervolume and its knee.

Everything here minimises and works on plain arrays, one row a point, one column an objective. Goals, bounds
and architectures are the business of `problem` and `result`.
"""

from __future__ import annotations

import bisect

import numpy as np
import numpy.typing as npt

from runner.search.errors import SearchError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MAX_HYPERVOLUME_OBJECTIVES = 6  # the exact algorithm is exponential in the number of objectives
_BLOCK = 512  # points compared at once; 512 x 512 x 6 booleans stay inside the cache


def non_dominated(points: npt.ArrayLike) -> BoolArray:
    """Which rows no other row dominates (minimisation); equal rows do not dominate each other.

    A row dominates another when it is no larger in any column and smaller in one. One and two columns cost a
    sort and a sweep, three a sort and a sweep over a staircase (Kung, Luccio, Preparata 1975), more a blocked
    comparison against the points kept so far.
    """
    rows = _finite_points(points)
    if len(rows) == 0:
        return np.zeros(0, dtype=np.bool_)
    # np.unique sorts lexicographically: a row can only be dominated by one before it.
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    if rows.shape[1] == 1:
        keep = unique[:, 0] == unique[0, 0]
    elif rows.shape[1] == 2:
        keep = _sweep_two(unique)
    elif rows.shape[1] == 3:
        keep = _sweep_three(unique)
    else:
        keep = _compare_blocks(unique)
    return np.asarray(keep[inverse.reshape(-1)], dtype=np.bool_)


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The volume dominated by the points and bounded by the reference point, exactly, for 1 to 6 objectives.

    Points that do not improve on the reference in every column add nothing. Two and three columns are swept;
    four to six use the exclusive-volume recursion of While, Bradstreet and Barone (2012, "WFG").
    """
    rows = _finite_points(points)
    corner = np.asarray(reference, dtype=np.float64)
    if corner.ndim != 1 or not np.isfinite(corner).all():
        raise SearchError(f"the reference point must be one finite number an objective, got {reference!r}")
    if len(rows) == 0:
        return 0.0
    if corner.shape[0] != rows.shape[1]:
        raise SearchError(
            f"the reference point has {corner.shape[0]} values, the points have {rows.shape[1]} objectives; "
            "give one value an objective"
        )
    if rows.shape[1] > MAX_HYPERVOLUME_OBJECTIVES:
        raise SearchError(
            f"the hypervolume is computed for at most {MAX_HYPERVOLUME_OBJECTIVES} objectives, "
            f"got {rows.shape[1]}; leave some out"
        )
    rows = rows[(rows < corner).all(axis=1)]
    if len(rows) == 0:
        return 0.0
    rows = np.unique(rows[non_dominated(rows)], axis=0)
    return _volume(rows, corner)


def knee(points: npt.ArrayLike) -> int:
    """The row closest to the ideal corner, each objective scaled to the range of the non-dominated rows.

    The ideal corner holds the best value of each objective; the scaled Euclidean distance to it is the
    compromise programme of Zeleny (1973) with p = 2. An objective that is constant on the front does not
    count. Ties go to the first row. Unlike the distance to the line through the extremes, this does not fall
    back to an extreme point on a concave front.
    """
    rows = _finite_points(points)
    if len(rows) == 0:
        raise SearchError("an empty front has no knee; evaluate at least one feasible architecture")
    kept = np.flatnonzero(non_dominated(rows))
    front = rows[kept]
    span = np.ptp(front, axis=0)
    scaled = (front - front.min(axis=0)) / np.where(span > 0, span, 1.0)
    return int(kept[int(np.argmin((scaled**2).sum(axis=1)))])


def _finite_points(points: npt.ArrayLike) -> FloatArray:
    rows = np.asarray(points, dtype=np.float64)
    if rows.size == 0:
        return rows.reshape(0, rows.shape[1] if rows.ndim == 2 else 0)
    if rows.ndim != 2:
        raise SearchError(f"points must be a table of rows and objectives, got an array of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise SearchError("points must be finite; leave failed evaluations out")
    return rows


def _sweep_two(rows: FloatArray) -> BoolArray:
    """Sorted unique rows: kept where the second value falls below all before it."""
    keep = np.ones(len(rows), dtype=np.bool_)
    keep[1:] = rows[1:, 1] < np.minimum.accumulate(rows[:, 1])[:-1]
    return keep


def _sweep_three(rows: FloatArray) -> BoolArray:
    """Sorted unique rows against a staircase of (second, third) values: second rises, third falls."""
    keep = np.zeros(len(rows), dtype=np.bool_)
    seconds: list[float] = []
    thirds: list[float] = []
    for index, (_, second, third) in enumerate(rows.tolist()):
        position = bisect.bisect_right(seconds, second)
        if position and thirds[position - 1] <= third:
            continue
        keep[index] = True
        start = bisect.bisect_left(seconds, second)
        end = start
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        seconds[start:end] = [second]
        thirds[start:end] = [third]
    return keep


def _compare_blocks(rows: FloatArray) -> BoolArray:
    """Sorted unique rows, block by block: against what was kept before, then within the block."""
    keep = np.ones(len(rows), dtype=np.bool_)
    kept: list[FloatArray] = []
    for start in range(0, len(rows), _BLOCK):
        alive = np.arange(start, min(start + _BLOCK, len(rows)))
        for earlier in kept:
            alive = alive[~(earlier[:, None, :] <= rows[None, alive, :]).all(axis=2).any(axis=0)]
            if len(alive) == 0:
                break
        if len(alive):
            block = rows[alive]
            below = np.array((block[:, None, :] <= block[None, :, :]).all(axis=2))
            below[np.diag_indices(len(block))] = False
            alive = alive[~below.any(axis=0)]
            kept.append(rows[alive])
        dropped = np.ones(min(_BLOCK, len(rows) - start), dtype=np.bool_)
        dropped[alive - start] = False
        keep[start : start + _BLOCK] = ~dropped
    return keep


def _volume(rows: FloatArray, corner: FloatArray) -> float:
    """Rows are unique, mutually non-dominated, below the corner and sorted lexicographically."""
    if rows.shape[1] == 1:
        return float(corner[0] - rows[0, 0])
    if rows.shape[1] == 2:
        heights = np.concatenate(([corner[1]], rows[:-1, 1])) - rows[:, 1]
        return float(((corner[0] - rows[:, 0]) * heights).sum())
    if rows.shape[1] == 3:
        return _volume_three(rows, corner)
    if len(rows) == 1:
        return float(np.prod(corner - rows[0]))
    # What each row adds to those before it. Their first value is no larger, so the part of a row's box that
    # they already hold has the row's own first edge, and only the other columns need the recursion.
    edges = corner[0] - rows[:, 0]
    slices = np.prod(corner[1:] - rows[:, 1:], axis=1)
    total = float(edges[0] * slices[0])
    for index in range(1, len(rows)):
        limited = np.maximum(rows[index, 1:], rows[:index, 1:])
        limited = np.unique(limited[non_dominated(limited)], axis=0)
        total += float(edges[index]) * (float(slices[index]) - _volume(limited, corner[1:]))
    return total


def _volume_three(rows: FloatArray, corner: FloatArray) -> float:
    """Sweep along the first objective while a staircase of the other two grows; its area is kept up to date.

    The staircase runs between two sentinels, so that every step has a neighbour on both sides.
    """
    seconds = [-np.inf, float(corner[1])]
    thirds = [float(corner[2]), -np.inf]
    area, total, previous = 0.0, 0.0, float(rows[0, 0])
    for first, second, third in rows.tolist():
        total += area * (first - previous)
        previous = first
        start = bisect.bisect_left(seconds, second)
        if thirds[start - 1] <= third or (seconds[start] == second and thirds[start] <= third):
            continue
        end, left, height = start, second, thirds[start - 1]
        while thirds[end] >= third:  # steps that the new one covers
            area += (seconds[end] - left) * (height - third)
            left, height = seconds[end], thirds[end]
            end += 1
        area += (seconds[end] - left) * (height - third)
        seconds[start:end] = [second]
        thirds[start:end] = [third]
    return total + area * (float(corner[0]) - previous)
