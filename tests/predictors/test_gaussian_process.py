"""The Gaussian process against its defining formulas, its own sampling, and a function it can learn."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import kendalltau

from predictors.features import FeatureLayout, Features
from predictors.gaussian_process import FIT_POINTS, GaussianProcess, Hyperparameters, _Objective
from search_spaces import Categorical, Ordinal, SearchSpace, load_space

FloatArray = npt.NDArray[np.float64]


def drawn(space: SearchSpace, count: int, seed: int) -> Features:
    rng = random.Random(seed)
    return FeatureLayout.of(space).extract([space.sample(rng) for _ in range(count)])


def target(features: Features) -> FloatArray:
    """Additive in the answers, with an interaction of the first two choices."""
    weights = np.random.default_rng(5).random((features.indices.shape[1], 8))
    additive = sum(weights[choice, column] for choice, column in enumerate(features.indices.T))
    return np.asarray(additive + 2.0 * weights[0, features.indices[:, 0]] * weights[1, features.indices[:, 1]])


@pytest.fixture
def space() -> SearchSpace:
    return load_space("vision_transformer")


def naive_kernel(known: Hyperparameters, left: Features, right: Features) -> FloatArray:
    """The formula of the module's docstring, one pair at a time."""
    layout = left.layout
    kernel = np.empty((len(left), len(right)))
    for i, j in np.ndindex(kernel.shape):
        decisions = (left.decisions[i] - right.decisions[j]) ** 2
        counts = (left.counts[i] - right.counts[j]) ** 2 / layout.group_sizes[layout.count_groups]
        kernel[i, j] = known.decision_scale * np.exp(
            -(known.decision_weights[layout.decision_groups] * decisions).sum()
        ) + known.count_scale * np.exp(-(known.count_weights[layout.count_groups] * counts).sum())
    return kernel


def test_predictions_follow_the_textbook_formulas(space: SearchSpace) -> None:
    features, others = drawn(space, 25, 0), drawn(space, 10, 1)
    process = GaussianProcess.fit(features, target(features), seed=0)
    known = process.hyperparameters
    values = (target(features) - known.offset) / known.unit
    kernel = naive_kernel(known, features, features) + known.noise * np.eye(25)
    cross = naive_kernel(known, features, others)
    mean = cross.T @ np.linalg.solve(kernel, values)
    covariance = naive_kernel(known, others, others) - cross.T @ np.linalg.solve(kernel, cross)
    predicted, std = process.predict(others)
    assert predicted == pytest.approx(known.offset + known.unit * mean, abs=1e-6)
    assert std == pytest.approx(known.unit * np.sqrt(np.diag(covariance)), abs=1e-4)
    noisy = process.predict(others, with_noise=True)[1]
    assert noisy == pytest.approx(np.sqrt(std**2 + known.noise * known.unit**2))


def test_gradient_of_the_marginal_likelihood(space: SearchSpace) -> None:
    features = drawn(space, 30, 0)
    objective = _Objective(features, target(features))
    for seed in range(3):
        vector = objective.centre + np.random.default_rng(seed).normal(size=len(objective.centre)) / 2
        numeric = approx_fprime(vector, lambda at: objective(at)[0], 1e-6)
        assert objective(vector)[1] == pytest.approx(numeric, abs=1e-3)


def test_fitting_finds_what_matters() -> None:
    space = SearchSpace({f"choice.{letter}": Categorical(*range(3)) for letter in "abcdef"})
    features = drawn(space, 80, 0)
    values = np.array([0.0, 1.0, 5.0, 2.0])[features.indices[:, 2]]
    weights = GaussianProcess.fit(features, values, seed=0).hyperparameters
    relevance = weights.decision_weights * weights.decision_scale + weights.count_weights * weights.count_scale
    assert np.argmax(relevance) == 2
    assert relevance[2] > 3 * np.delete(relevance, 2).max()


def test_it_ranks_unseen_architectures_and_knows_how_wrong_it_is(space: SearchSpace) -> None:
    features, others = drawn(space, 80, 0), drawn(space, 300, 1)
    process = GaussianProcess.fit(features, target(features), seed=0)
    mean, std = process.predict(others, with_noise=True)
    assert kendalltau(mean, target(others)).statistic > 0.8
    inside = np.abs(target(others) - mean) < 1.645 * std
    assert 0.75 < inside.mean() <= 1.0  # nominal 0.9


def test_believing_equals_conditioning_on_everything(space: SearchSpace) -> None:
    features, more, others = drawn(space, 40, 0), drawn(space, 7, 1), drawn(space, 20, 2)
    process = GaussianProcess.fit(features, target(features), seed=0)
    extended = process.believing(more, target(more))
    direct = GaussianProcess.conditioned(
        process.hyperparameters,
        features.joined(more),
        np.concatenate([target(features), target(more)]),
    )
    for left, right in zip(extended.predict(others), direct.predict(others), strict=True):
        assert left == pytest.approx(right, abs=1e-6)


def test_a_believed_candidate_keeps_means_and_shrinks_variances_exactly(space: SearchSpace) -> None:
    features, others = drawn(space, 40, 0), drawn(space, 20, 1)
    process = GaussianProcess.fit(features, target(features), seed=0)
    posterior = process.posterior(others)
    believed = posterior.believing(3).believing(8)
    rows = others.take([3, 8])
    direct = process.believing(rows, posterior.mean[[3, 8]])
    assert believed.mean == pytest.approx(direct.predict(others)[0], abs=1e-6)
    assert believed.std == pytest.approx(direct.predict(others)[1], abs=1e-6)
    assert (believed.std <= posterior.std).all()
    some = np.array([8, 1])
    assert believed.take(some).std == pytest.approx(believed.std[some])
    assert posterior.take(some).believing(0).std == pytest.approx(posterior.believing(8).std[some])


def test_joint_samples_have_the_posterior_moments(space: SearchSpace) -> None:
    features, others = drawn(space, 20, 0), drawn(space, 6, 1)
    process = GaussianProcess.fit(features, target(features), seed=0)
    posterior = process.posterior(others)
    samples = posterior.sample(20_000, np.random.default_rng(0))
    known = process.hyperparameters
    kernel = naive_kernel(known, features, features) + known.noise * np.eye(20)
    cross = naive_kernel(known, features, others)
    covariance = naive_kernel(known, others, others) - cross.T @ np.linalg.solve(kernel, cross)
    assert samples.mean(axis=0) == pytest.approx(posterior.mean, abs=5 * posterior.std.max() / np.sqrt(20_000))
    assert np.cov(samples.T) == pytest.approx(known.unit**2 * covariance, abs=0.05 * posterior.std.max() ** 2)


def test_units_do_not_matter(space: SearchSpace) -> None:
    features, others = drawn(space, 30, 0), drawn(space, 10, 1)
    mean, std = GaussianProcess.fit(features, target(features), seed=0).predict(others)
    scaled = GaussianProcess.fit(features, 1e6 * target(features) - 3e5, seed=0)
    assert scaled.predict(others)[0] == pytest.approx(1e6 * mean - 3e5, rel=1e-4)
    assert scaled.predict(others)[1] == pytest.approx(1e6 * std, rel=1e-3)


@pytest.mark.parametrize("count", [1, 5])
def test_constant_values_are_predicted_as_such(space: SearchSpace, count: int) -> None:
    process = GaussianProcess.fit(drawn(space, count, 0), np.full(count, 0.1), seed=0)
    mean, std = process.predict(drawn(space, 5, 1))
    assert mean == pytest.approx(0.1)
    assert np.isfinite(std).all()


def test_repeated_rows_with_different_values_are_noise(space: SearchSpace) -> None:
    features = drawn(space, 1, 0).take([0] * 10)
    values = np.arange(10.0)
    mean, std = GaussianProcess.fit(features, values, seed=0).predict(features.take([0]))
    assert mean[0] == pytest.approx(4.5, abs=0.2)
    assert std[0] < 2.0


@pytest.mark.slow
def test_the_seed_alone_picks_the_points_of_a_large_fit() -> None:
    space = SearchSpace({f"choice.{i}": Ordinal(1, 2, 3, 4) for i in range(6)})
    features = drawn(space, FIT_POINTS + 50, 0)
    first, again, other = (GaussianProcess.fit(features, target(features), seed=seed) for seed in (1, 1, 2))
    assert (first.hyperparameters.decision_weights == again.hyperparameters.decision_weights).all()
    assert (first.hyperparameters.decision_weights != other.hyperparameters.decision_weights).any()
    assert len(first.values) == FIT_POINTS + 50


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0], "one value a row"), ([1.0, float("nan"), 2.0], "finite"), ([1.0, 2.0, float("inf")], "finite")],
)
def test_values_that_cannot_be_learned_are_refused(space: SearchSpace, values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianProcess.fit(drawn(space, 3, 0), values, seed=0)
