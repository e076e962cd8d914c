"""When two sets of logits agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from supernet.errors import ParityError
from supernet.export.parity import ABSOLUTE, RELATIVE, check_parity

EXPECTED = np.array([[3.0, 1.0, -2.0], [0.0, 0.00005, -1.0], [-5.0, 100.0, 2.0]], dtype=np.float32)


@given(arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)), st.integers(0, 2**32 - 1))
def test_differences_within_the_tolerance_pass(expected: np.ndarray, seed: int) -> None:
    expected[:, 0] = np.abs(expected).max(1) + 100  # a clear decision
    noise = np.random.default_rng(seed).uniform(-0.4, 0.4, expected.shape)
    actual = expected + noise * (ABSOLUTE + RELATIVE * np.abs(expected))
    parity = check_parity(expected, actual, "file")
    assert parity.samples == 4
    assert parity.decisions_changed == 0
    assert parity.largest_difference == pytest.approx(float(np.abs(actual - expected).max()))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 1), (2, 0)])
def test_one_logit_beyond_the_tolerance_fails(row: int, column: int) -> None:
    actual = EXPECTED.astype(np.float64)
    actual[row, column] += 1.5 * (ABSOLUTE + RELATIVE * abs(actual[row, column]))
    with pytest.raises(ParityError, match=r"file\.onnx: .*differs .* by up to"):
        check_parity(EXPECTED, actual, "file.onnx")


def test_the_tolerance_is_relative_for_large_logits() -> None:
    actual = EXPECTED.copy()
    actual[2, 1] += 0.009
    check_parity(EXPECTED, actual, "file")
    actual[2, 1] += 0.003
    with pytest.raises(ParityError):
        check_parity(EXPECTED, actual, "file")


def test_a_near_tie_may_be_decided_either_way() -> None:
    actual = EXPECTED.copy()
    actual[1, :2] = 0.00005, 0.0
    assert check_parity(EXPECTED, actual, "file").decisions_changed == 0


def test_a_changed_decision_fails_although_every_logit_is_close() -> None:
    expected = np.array([[1.0, 1.0 - 2.2e-4]])  # further apart than one tolerance, closer than two
    with pytest.raises(ParityError, match="changes 1 of 1 decisions"):
        check_parity(expected, expected + np.array([[-1.5e-4, 1.5e-4]]), "file")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["expected", "actual", "both"])
def test_values_that_are_not_finite_fail(value: float, side: str) -> None:
    expected, actual = EXPECTED.copy(), EXPECTED.copy()
    if side != "actual":
        expected[0, 2] = value
    if side != "expected":
        actual[0, 2] = value
    with pytest.raises(ParityError, match="NaN or infinite"):
        check_parity(expected, actual, "file")


@pytest.mark.parametrize("actual", [EXPECTED[:2], EXPECTED[:, :2], EXPECTED[None]])
def test_other_shapes_fail(actual: np.ndarray) -> None:
    with pytest.raises(ParityError, match=r"have shape .* instead of \(3, 3\)"):
        check_parity(EXPECTED, actual, "file")


@pytest.mark.parametrize("shape", [(0, 3), (3, 1), (3,), (2, 3, 1)])
def test_what_are_no_logits_fail(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParityError, match="needs logits of shape"):
        check_parity(np.zeros(shape), np.zeros(shape), "file")


def test_a_decision_at_any_position_counts() -> None:
    expected = np.zeros((2, 3, 4), dtype=np.float32)
    expected[..., 1] = 1
    assert check_parity(expected, expected.copy(), "same").samples == 2
    changed = expected.copy()
    changed[1, 2, 3] = 2
    with pytest.raises(ParityError, match="changes 1 of 6 decisions"):
        check_parity(expected, changed, "changed")
