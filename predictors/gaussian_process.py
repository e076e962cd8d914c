"""Owns exact Gaussian process regression on architectures. Which values it learns, and when, is the caller's.

The kernel is a sum of two parts over the features of `predictors.features`:

    k(x, y) = a * exp(-sum_choices w_c d_c(x, y)) + b * exp(-sum_groups v_g e_g(x, y))

where d_c is the distance between the answers to choice c (a weighted Hamming distance for unordered choices)
and e_g the squared distance between the counts of group g, divided by the size of the group. The weights, the
two scales and the noise are the maximum of the marginal likelihood (Rasmussen and Williams 2006, eq. 5.8 and
5.9) times a weak log-normal prior, found by L-BFGS with analytic gradients. Distances of both parts are
squared Euclidean distances of columns, so that every matrix here comes out of matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.optimize import minimize

if TYPE_CHECKING:
    from predictors.features import FeatureLayout, Features

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

FIT_POINTS = 300  # hyperparameters are fitted on at most so many points: their cost grows with the cube
_ITERATIONS = 60
_JITTER = 1e-8  # relative to the prior variance; keeps equal rows factorisable without noise
# Weak priors on the logarithms: (mean, standard deviation). Weights are divided by the number of choices, so
# that two random architectures start moderately correlated whatever the size of the space (Hvarfner et al.
# 2024 scale length-scales with the dimension for the same reason).
_WEIGHT_PRIOR = (0.0, 1.5)
_SCALE_PRIOR = (np.log(0.5), 1.0)
_NOISE_PRIOR = (np.log(1e-2), 2.0)
_WEIGHT_BOUNDS = (np.log(1e-6), np.log(1e3))
_SCALE_BOUNDS = (np.log(1e-4), np.log(1e3))
_NOISE_BOUNDS = (np.log(1e-6), np.log(1e1))


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What is learned once and kept while points are added. Values are standardised by offset and unit."""

    decision_weights: FloatArray  # one a choice
    count_weights: FloatArray  # one a group
    decision_scale: float
    count_scale: float
    noise: float  # variance, in units of the standardised values
    offset: float
    unit: float


@dataclass(frozen=True, kw_only=True, eq=False)
class GaussianProcess:
    """A Gaussian process conditioned on values; every method returns something new."""

    hyperparameters: Hyperparameters
    features: Features
    values: FloatArray
    factor: FloatArray  # lower Cholesky factor of the kernel matrix plus noise

    @classmethod
    def fit(cls, features: Features, values: npt.ArrayLike, seed: int) -> GaussianProcess:
        """Learn hyperparameters and condition on the values; the seed picks the points of a large set."""
        targets = _checked(features, values)
        rows = np.arange(len(targets))
        if len(targets) > FIT_POINTS:
            chosen = np.random.default_rng(seed).choice(len(targets), FIT_POINTS, replace=False)
            rows = np.sort(chosen)
        return cls.conditioned(_maximise(features.take(rows), targets[rows]), features, targets)

    @classmethod
    def conditioned(
        cls, hyperparameters: Hyperparameters, features: Features, values: npt.ArrayLike
    ) -> GaussianProcess:
        """Condition on values with hyperparameters that are already known."""
        targets = _checked(features, values)
        matrix = _kernel(hyperparameters, _columns(features), _columns(features))
        matrix[np.diag_indices_from(matrix)] += _diagonal(hyperparameters)
        factor = cholesky(matrix, lower=True, overwrite_a=True)
        return cls(hyperparameters=hyperparameters, features=features, values=targets, factor=factor)

    def believing(self, features: Features, values: npt.ArrayLike) -> GaussianProcess:
        """The same process with more values, exact and without refactoring what is already there."""
        added = _checked(features, values)
        cross = _kernel(self.hyperparameters, _columns(self.features), _columns(features))
        corner = _kernel(self.hyperparameters, _columns(features), _columns(features))
        corner[np.diag_indices_from(corner)] += _diagonal(self.hyperparameters)
        below = solve_triangular(self.factor, cross, lower=True)
        size = len(self.factor)
        factor = np.zeros((size + len(added), size + len(added)))
        factor[:size, :size] = self.factor
        factor[size:, :size] = below.T
        factor[size:, size:] = cholesky(corner - below.T @ below, lower=True)
        return GaussianProcess(
            hyperparameters=self.hyperparameters,
            features=self.features.joined(features),
            values=np.concatenate([self.values, added]),
            factor=factor,
        )

    def posterior(self, features: Features) -> Posterior:
        """The joint distribution of the noise-free values at some architectures."""
        known = self.hyperparameters
        cross = _kernel(known, _columns(self.features), _columns(features))
        reduced = solve_triangular(self.factor, cross, lower=True, overwrite_b=True)
        prior = known.decision_scale + known.count_scale
        return Posterior(
            hyperparameters=known,
            features=features,
            reduced=reduced,
            standard_mean=reduced.T @ solve_triangular(self.factor, self._standardised, lower=True),
            standard_variance=np.maximum(prior - np.einsum("ij,ij->j", reduced, reduced), 0.0),
        )

    def predict(self, features: Features, *, with_noise: bool = False) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation at each row; `with_noise` for the spread of a new measurement."""
        posterior = self.posterior(features)
        if not with_noise:
            return posterior.mean, posterior.std
        unit, noise = self.hyperparameters.unit, self.hyperparameters.noise
        return posterior.mean, np.sqrt(posterior.std**2 + noise * unit**2)

    @cached_property
    def _standardised(self) -> FloatArray:
        return (self.values - self.hyperparameters.offset) / self.hyperparameters.unit


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """The joint normal distribution of the noise-free values at some candidates."""

    hyperparameters: Hyperparameters
    features: Features
    reduced: FloatArray  # factor^-1 K(known, candidates): a column a candidate
    standard_mean: FloatArray
    standard_variance: FloatArray

    @cached_property
    def mean(self) -> FloatArray:
        return self.hyperparameters.offset + self.hyperparameters.unit * self.standard_mean

    @cached_property
    def std(self) -> FloatArray:
        return self.hyperparameters.unit * np.sqrt(self.standard_variance)

    def take(self, candidates: npt.NDArray[np.int64]) -> Posterior:
        """The distribution at some of the candidates."""
        return Posterior(
            hyperparameters=self.hyperparameters,
            features=self.features.take(candidates),
            reduced=self.reduced[:, candidates],
            standard_mean=self.standard_mean[candidates],
            standard_variance=self.standard_variance[candidates],
        )

    def believing(self, candidate: int) -> Posterior:
        """The distribution if this candidate were measured and gave its mean: only variances shrink.

        One row is added to the factor, so that a believed value costs one matrix-vector product.
        """
        known = self.hyperparameters
        here = _kernel(known, _columns(self.features.take([candidate])), _columns(self.features))[0]
        covariance = here - self.reduced[:, candidate] @ self.reduced
        row = covariance / np.sqrt(self.standard_variance[candidate] + _diagonal(known))
        return Posterior(
            hyperparameters=known,
            features=self.features,
            reduced=np.vstack([self.reduced, row]),
            standard_mean=self.standard_mean,
            standard_variance=np.maximum(self.standard_variance - row**2, 0.0),
        )

    def sample(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Joint samples, one row a sample and one column a candidate."""
        known = self.hyperparameters
        columns = _columns(self.features)
        covariance = _kernel(known, columns, columns) - self.reduced.T @ self.reduced
        covariance[np.diag_indices_from(covariance)] += _JITTER * (known.decision_scale + known.count_scale)
        # Rounding can leave eigenvalues slightly below zero, on which Cholesky would fail.
        eigenvalues, vectors = np.linalg.eigh(covariance)
        spread = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        normal = rng.standard_normal((count, len(self.standard_mean)))
        return np.asarray(known.offset + known.unit * (self.standard_mean + normal @ spread.T))


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The columns of both parts of the kernel, counts scaled by the size of their group."""

    layout: FeatureLayout
    decisions: FloatArray
    counts: FloatArray


def _columns(features: Features) -> _Columns:
    layout = features.layout
    sizes = layout.group_sizes[layout.count_groups]
    return _Columns(layout=layout, decisions=features.decisions, counts=features.counts / np.sqrt(sizes))


def _kernel(known: Hyperparameters, left: _Columns, right: _Columns) -> FloatArray:
    layout = left.layout
    decisions = known.decision_weights[layout.decision_groups]
    counts = known.count_weights[layout.count_groups]
    first = known.decision_scale * np.exp(-_distances(left.decisions, right.decisions, decisions))
    return first + known.count_scale * np.exp(-_distances(left.counts, right.counts, counts))


def _distances(left: FloatArray, right: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted squared Euclidean distances between all pairs of rows."""
    scale = np.sqrt(weights)
    left, right = left * scale, right * scale
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    return np.asarray(np.maximum(squares - 2.0 * left @ right.T, 0.0))


def _diagonal(known: Hyperparameters) -> float:
    return known.noise + _JITTER * (known.decision_scale + known.count_scale)


def _checked(features: Features, values: npt.ArrayLike) -> FloatArray:
    targets = np.asarray(values, dtype=np.float64)
    if targets.shape != (len(features),) or len(targets) == 0:
        raise ValueError(
            f"one value a row is needed and at least one row: got values of shape {targets.shape} "
            f"for {len(features)} rows"
        )
    if not np.isfinite(targets).all():
        raise ValueError("values must be finite; leave failed evaluations out before fitting")
    return targets


def _maximise(features: Features, targets: FloatArray) -> Hyperparameters:
    """The maximum of the marginal likelihood times the prior, from the centre of the prior."""
    objective = _Objective(features, targets)
    result = minimize(
        objective,
        objective.centre,
        jac=True,
        method="L-BFGS-B",
        bounds=objective.bounds,
        options={"maxiter": _ITERATIONS},
    )
    return objective.hyperparameters(result.x)


class _Objective:
    """Negative log marginal likelihood plus negative log prior, with its gradient in the log parameters.

    The vector holds the logarithms of: a weight a choice, a weight a group, two scales, the noise.
    """

    def __init__(self, features: Features, targets: FloatArray) -> None:
        self._columns = _columns(features)
        layout = features.layout
        self._choices, self._groups = len(layout.choices), len(layout.groups)
        self._offset = float(targets.mean())
        spread = float(targets.std())
        # Values that are constant up to rounding carry no unit of their own.
        constant = spread <= 1e-12 * max(1.0, abs(self._offset))
        self._unit = 1.0 if constant else spread
        self._targets = np.zeros(len(targets)) if constant else (targets - self._offset) / self._unit
        weights = np.concatenate(
            [
                np.full(self._choices, _WEIGHT_PRIOR[0] - np.log(max(self._choices, 1))),
                np.full(self._groups, _WEIGHT_PRIOR[0] - np.log(max(self._groups, 1))),
            ]
        )
        self.centre = np.concatenate([weights, [_SCALE_PRIOR[0]] * 2, [_NOISE_PRIOR[0]]])
        self._deviation = np.concatenate(
            [np.full(len(weights), _WEIGHT_PRIOR[1]), [_SCALE_PRIOR[1]] * 2, [_NOISE_PRIOR[1]]]
        )
        self.bounds = [_WEIGHT_BOUNDS] * len(weights) + [_SCALE_BOUNDS] * 2 + [_NOISE_BOUNDS]

    def hyperparameters(self, vector: FloatArray) -> Hyperparameters:
        natural = np.exp(vector)
        return Hyperparameters(
            decision_weights=natural[: self._choices],
            count_weights=natural[self._choices : self._choices + self._groups],
            decision_scale=float(natural[-3]),
            count_scale=float(natural[-2]),
            noise=float(natural[-1]),
            offset=self._offset,
            unit=self._unit,
        )

    def __call__(self, vector: FloatArray) -> tuple[float, FloatArray]:
        known = self.hyperparameters(vector)
        layout, columns = self._columns.layout, self._columns
        parts = [
            (known.decision_scale, known.decision_weights, layout.decision_groups, columns.decisions),
            (known.count_scale, known.count_weights, layout.count_groups, columns.counts),
        ]
        kernels = [scale * np.exp(-_distances(rows, rows, weights[groups])) for scale, weights, groups, rows in parts]
        matrix = kernels[0] + kernels[1]
        matrix[np.diag_indices_from(matrix)] += _diagonal(known)
        factor = cholesky(matrix, lower=True, overwrite_a=True)
        solved = cho_solve((factor, True), self._targets)
        value = 0.5 * float(self._targets @ solved) + float(np.log(np.diag(factor)).sum())
        # d value / d K, from which every derivative is a sum over entries.
        outer = 0.5 * (_inverse(factor) - np.outer(solved, solved))
        gradient = np.empty_like(vector)
        position = 0
        for (_, weights, groups, rows), kernel in zip(parts, kernels, strict=True):
            weighted = outer * kernel
            # sum_ij M_ij |x_i - x_j|^2 per column, for symmetric M
            per_column = 2.0 * (weighted.sum(axis=1) @ rows**2 - np.einsum("ic,ic->c", rows, weighted @ rows))
            per_group = np.bincount(groups, weights=per_column, minlength=len(weights))
            gradient[position : position + len(weights)] = -weights * per_group
            position += len(weights)
        trace = float(np.trace(outer))
        for index, kernel in enumerate(kernels):
            scale = parts[index][0]
            gradient[position + index] = float((outer * kernel).sum()) + trace * _JITTER * scale
        gradient[-1] = known.noise * trace
        deviations = (vector - self.centre) / self._deviation
        return value + 0.5 * float(deviations @ deviations), gradient + deviations / self._deviation


def _inverse(factor: FloatArray) -> FloatArray:
    """The inverse of a matrix from its lower Cholesky factor."""
    lower, failed = lapack.dpotri(factor, lower=1)
    if failed:
        raise np.linalg.LinAlgError("the kernel matrix is singular")
    return np.asarray(np.tril(lower) + np.tril(lower, -1).T)
