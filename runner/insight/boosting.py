"""Boosted regression trees over columns of 0 and 1: small, seeded, and NumPy alone.

Stochastic gradient boosting (Friedman 2002) of trees of depth three.  A server asks it what a study's rows say, and a
library of trees would take longer to import than this takes to learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = NDArray[np.float32]
    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Places = NDArray[np.int64]

DEPTH = 3
TREES = 80
_RATE = 0.12
_ROWS_A_TREE = 400
_SHARE_A_TREE = 0.7
_FEWEST = 3  # rows in a leaf
_PRIOR = 1.0  # rows with a residual of 0 that each leaf is given beside its own
_INNER = 2**DEPTH - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Boosted:
    """A sum of trees; the nodes of each lie as in a heap, the children of i at 2i + 1 (yes) and 2i + 2 (no)."""

    mean: float
    splits: Places  # trees x inner nodes: a column
    leaves: Floats  # trees x leaves

    @classmethod
    def fit(cls, columns: Columns, targets: Floats, rng: np.random.Generator) -> Boosted:
        """Learn the targets of rows, of which there must be at least one."""
        mean = float(targets.mean())
        residuals = targets - mean
        count = min(_ROWS_A_TREE, max(1, round(_SHARE_A_TREE * len(targets))))
        splits = np.zeros((TREES, _INNER), dtype=np.int64)
        leaves = np.zeros((TREES, 2**DEPTH))
        for tree in range(TREES):
            rows = rng.choice(len(targets), size=count, replace=False)
            splits[tree], leaves[tree] = _grow(columns[rows], residuals[rows])
            residuals -= leaves[tree][_leaf(columns, splits[tree])]
        return cls(mean=mean, splits=splits, leaves=leaves)

    def parts(self, columns: Columns, trees: Places, own: Flags | None = None, others: Places | None = None) -> Floats:
        """What some of the trees say of each row (trees x rows); with `mean`, all of them add up to the prediction.

        The columns of `own` are read from the rows `others` instead: as if their answers had been shuffled.
        """
        rows = np.arange(len(columns))
        nodes = np.zeros((len(trees), len(columns)), dtype=np.int64)
        for _ in range(DEPTH):
            asked = self.splits[trees[:, None], nodes]
            of = rows if own is None or others is None else np.where(own[asked], others, rows)
            nodes = 2 * nodes + 2 - (columns[of, asked] > 0)
        found: Floats = self.leaves[trees[:, None], nodes - _INNER]
        return found

    def using(self, own: Flags) -> Places:
        """The trees that ask one of these columns."""
        return np.flatnonzero(own[self.splits].any(axis=1))


def best_split(columns: Columns, targets: Floats, fewest: int) -> int | None:
    """The column that divides rows into the two parts that differ most, each with at least `fewest` rows, or None."""
    both = np.stack([targets, np.ones(len(targets))], axis=1).astype(np.float32)
    sums, yes = (columns.T @ both).astype(np.float64).T
    total, no = targets.sum(), len(targets) - yes
    possible = (yes >= fewest) & (no >= fewest)
    if not possible.any():
        return None
    gains = sums**2 / (yes + _PRIOR) + (total - sums) ** 2 / (no + _PRIOR)
    best = int(np.where(possible, gains, -np.inf).argmax())
    return best if gains[best] > total**2 / (len(targets) + _PRIOR) else None


def _grow(columns: Columns, residuals: Floats) -> tuple[Places, Floats]:
    splits, leaves = np.zeros(_INNER, dtype=np.int64), np.zeros(2**DEPTH)
    nodes = {0: np.arange(len(residuals))}
    for node in range(_INNER):
        rows = nodes.pop(node)
        best = best_split(columns[rows], residuals[rows], _FEWEST) if len(rows) >= 2 * _FEWEST else None
        splits[node] = 0 if best is None else best
        yes = columns[rows, splits[node]] > 0
        # A node that is not divided goes on whole: both of its ends say the same.
        nodes[2 * node + 1] = rows if best is None else rows[yes]
        nodes[2 * node + 2] = rows if best is None else rows[~yes]
    for node, rows in nodes.items():
        leaves[node - _INNER] = _RATE * residuals[rows].sum() / (len(rows) + _PRIOR)
    return splits, leaves


def _leaf(columns: Columns, splits: Places) -> Places:
    """The leaf that each row comes to."""
    rows = np.arange(len(columns))
    node = np.zeros(len(columns), dtype=np.int64)
    for _ in range(DEPTH):
        node = 2 * node + 2 - (columns[rows, splits[node]] > 0)
    leaf: Places = node - _INNER
    return leaf
