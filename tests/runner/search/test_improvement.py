"""The expected gain against exact hypervolumes, sampling and closed forms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from runner.search.improvement import BoxImprovement, expected_shortfall, improvement_over
from runner.search.pareto import hypervolume

FloatArray = npt.NDArray[np.float64]


def gain(front: FloatArray, point: FloatArray, reference: FloatArray) -> float:
    return hypervolume(np.vstack([front, point]), reference) - hypervolume(front, reference)


def front_of(rng: np.random.Generator, objectives: int, *, coarse: bool) -> FloatArray:
    points = rng.random((int(rng.integers(0, 12)), objectives)) * 1.2  # some lie beyond the reference
    return np.round(points * 5) / 5 if coarse else points


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("coarse", [False, True], ids=["general position", "ties"])
def test_gains_of_known_points_are_differences_of_hypervolumes(objectives: int, coarse: bool) -> None:
    rng = np.random.default_rng(objectives)
    reference = np.ones(objectives)
    for _ in range(40):
        front = front_of(rng, objectives, coarse=coarse)
        points = rng.random((6, objectives)) * 1.2 - 0.1
        points = np.round(points * 5) / 5 if coarse else points
        found = improvement_over(front, reference, 0).expected(points, np.zeros_like(points))
        expected = [gain(front, point, reference) for point in points]
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_expected_gains_agree_with_sampling(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    reference = np.ones(objectives)
    front = rng.random((6, objectives))
    mean = rng.random((2, objectives)) * 0.5
    std = np.full_like(mean, 0.2)
    std[:, 0] = 0.0 if objectives > 1 else 0.2  # a computed cost among measured metrics
    found = improvement_over(front, reference, 0).expected(mean, std)
    for row in range(2):
        draws = mean[row] + std[row] * rng.standard_normal((800, objectives))
        gains = [gain(front, draw, reference) for draw in draws]
        assert found[row] == pytest.approx(np.mean(gains), abs=6 * np.std(gains) / np.sqrt(800) + 1e-12)


@pytest.mark.parametrize("objectives", [2, 3])
def test_boxes_partition_what_the_front_leaves(objectives: int) -> None:
    rng = np.random.default_rng(7)
    front = rng.random((30, objectives))
    front = front[[not any((other <= row).all() and (other < row).any() for other in front) for row in front]]
    boxes = BoxImprovement.over(front, np.ones(objectives))
    points = rng.random((500, objectives)) * 1.3 - 0.2
    inside = (boxes.lower[None] <= points[:, None]) & (points[:, None] < boxes.upper[None])
    covered = inside.all(axis=2).sum(axis=1)
    free = (points < 1).all(axis=1) & ~(front[None] <= points[:, None]).all(axis=2).any(axis=1)
    assert (covered == free).all()
    assert len(boxes.lower) <= 3 * len(front) + 1


def test_one_objective_is_expected_improvement() -> None:
    mean, std = np.array([[0.3], [0.8]]), np.array([[0.1], [0.4]])
    found = improvement_over(np.array([[0.5], [0.7]]), np.array([2.0]), 0).expected(mean, std)
    standard = (0.5 - mean) / std
    assert found == pytest.approx(((0.5 - mean) * norm.cdf(standard) + std * norm.pdf(standard))[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [4, 6])
def test_many_objectives_rank_like_exact_gains(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    reference = np.ones(objectives)
    front = rng.random((10, objectives)) * 0.8 + 0.1
    points = rng.random((40, objectives)) * 0.8
    exact = np.array([gain(front, point, reference) for point in points])
    found = improvement_over(front, reference, 0).expected(points, np.zeros_like(points))
    assert np.corrcoef(exact, found)[0, 1] > 0.9
    assert found.sum() == pytest.approx(exact.sum(), rel=0.3)
    assert (found == improvement_over(front, reference, 0).expected(points, np.zeros_like(points))).all()


def test_shortfall_limits() -> None:
    edges = np.array([-np.inf, 0.0, 1.0])
    known = expected_shortfall(edges, np.array([0.25]), np.array([0.0]))
    assert known.tolist() == [[0.0, 0.0, 0.75]]
    barely = expected_shortfall(edges, np.array([0.25]), np.array([1e-9]))
    assert barely == pytest.approx(known)
