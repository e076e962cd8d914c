"""Fronts against definitions, closed forms and moocore."""

from __future__ import annotations

import time

import moocore
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runner.search.errors import SearchError
from runner.search.pareto import hypervolume, knee, non_dominated

FloatArray = npt.NDArray[np.float64]


def tables(columns: st.SearchStrategy[int], *, rows: int) -> st.SearchStrategy[FloatArray]:
    """Tables on a coarse grid, so that ties and duplicates are frequent."""
    return columns.flatmap(
        lambda width: hnp.arrays(
            np.float64,
            st.tuples(st.integers(1, rows), st.just(width)),
            elements=st.integers(0, 5).map(float),
        )
    )


def by_definition(points: FloatArray) -> list[bool]:
    return [not any((other <= row).all() and (other < row).any() for other in points) for row in points]


@given(tables(st.integers(1, 6), rows=30))
def test_non_dominated_follows_the_definition(points: FloatArray) -> None:
    assert non_dominated(points).tolist() == by_definition(points)


@pytest.mark.parametrize("objectives", [2, 3, 4, 6])
def test_non_dominated_agrees_with_moocore_across_blocks(objectives: int) -> None:
    points = np.random.default_rng(objectives).random((3000, objectives)).round(2)
    assert (non_dominated(points) == moocore.is_nondominated(points, keep_weakly=True)).all()


def test_duplicates_of_a_front_point_are_all_kept() -> None:
    points = [[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [2.0, 2.0]]
    assert non_dominated(points).tolist() == [True, True, True, False]


def test_no_points_have_no_front_and_no_volume() -> None:
    assert non_dominated(np.zeros((0, 3))).shape == (0,)
    assert hypervolume(np.zeros((0, 3)), [1.0, 1.0, 1.0]) == 0.0


@pytest.mark.parametrize("spherical", [False, True], ids=["few on the front", "all on the front"])
def test_a_hundred_thousand_points_take_under_two_seconds(spherical: bool) -> None:
    points = np.random.default_rng(0).random((100_000, 3)) + 0.01
    if spherical:
        points = 1.0 - points / np.linalg.norm(points, axis=1, keepdims=True)
    start = time.process_time()
    kept = non_dominated(points)
    assert time.process_time() - start < 2.0  # 0.2 s where it was written; a quadratic method takes minutes
    assert kept.sum() == (100_000 if spherical else moocore.is_nondominated(points).sum())


@given(tables(st.integers(2, 6), rows=12))
def test_hypervolume_agrees_with_moocore(points: FloatArray) -> None:
    reference = np.full(points.shape[1], 4.5)  # some points lie beyond it
    assert hypervolume(points, reference) == pytest.approx(moocore.hypervolume(points, ref=reference))


def test_hypervolume_of_boxes_in_closed_form() -> None:
    assert hypervolume([[3.0]], [5.0]) == 2.0
    for objectives in range(1, 7):
        assert hypervolume(np.full((2, objectives), 0.5), np.ones(objectives)) == 0.5**objectives
    # Two boxes of 2 x 1 x 1 x 1 and 1 x 2 x 1 x 1 share one of 1.
    assert hypervolume([[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0]], [2.0] * 4) == 3.0


def test_hypervolume_of_a_simplex_front_in_closed_form() -> None:
    steps = np.arange(101) / 100
    points = np.stack([steps, 1.0 - steps], axis=1)
    assert hypervolume(points, [1.0, 1.0]) == pytest.approx(0.5 * (1 - 1 / 100))


@pytest.mark.parametrize(
    ("points", "reference", "message"),
    [
        ([[1.0, np.nan]], [2.0, 2.0], "finite"),
        ([[1.0, 1.0]], [2.0], "reference point has 1 values"),
        ([[1.0, 1.0]], [2.0, np.inf], "finite number an objective"),
        ([[1.0] * 7], [2.0] * 7, "at most 6"),
        ([1.0, 2.0], [2.0], "table"),
    ],
)
def test_bad_points_are_refused(points: list[object], reference: list[float], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        hypervolume(points, reference)  # type: ignore[arg-type]  # shapes are what is tested


def test_the_knee_is_the_point_nearest_to_the_ideal_corner() -> None:
    assert knee([[0.0, 1.0], [0.1, 0.1], [1.0, 0.0]]) == 1
    assert knee([[0.0, 100.0], [0.1, 10.0], [1.0, 0.0]]) == 1  # units do not matter
    assert knee([[0.0, 1.0], [0.6, 0.6], [1.0, 0.0]]) == 1  # nor does a concave front
    assert knee([[5.0, 5.0], [1.0, 2.0], [9.0, 9.0]]) == 1  # dominated points do not count
    assert knee([[1.0, 7.0], [1.0, 7.0]]) == 0


def test_an_empty_front_has_no_knee() -> None:
    with pytest.raises(SearchError, match="no knee"):
        knee(np.zeros((0, 2)))
