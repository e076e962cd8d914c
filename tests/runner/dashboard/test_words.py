from datetime import timedelta

import pytest

from runner.dashboard.words import PROVENANCE, decimals_for, direction, label, number, scaled_unit, span
from runner.store.records import PROVENANCES


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("latency_ms", "latency_ms"),
        ("model_bytes", "model_bytes"),
        ("error", "error (fraction)"),
        ("test_error", "test_error (fraction)"),
        ("macs", "macs (multiply-adds)"),
        ("unheard_of", "unheard_of"),
    ],
)
def test_a_unit_is_named_once(metric: str, expected: str) -> None:
    assert label(metric) == expected


def test_the_goal_of_a_study_counts_before_that_of_the_metric() -> None:
    assert direction("accuracy", None) == "higher is better"
    assert direction("accuracy", "minimize") == "lower is better"
    assert direction("error", None) == "lower is better"


@pytest.mark.parametrize(
    ("metric", "largest", "expected"),
    [
        ("model_bytes", 999, (1.0, "bytes")),
        ("model_bytes", 12_345, (1e3, "kB")),
        ("model_bytes", 2e6, (1e6, "MB")),
        ("macs", 9_999, (1.0, "multiply-adds")),
        ("macs", 5e7, (1e6, "million multiply-adds")),
        ("latency_ms", 3.0, (1.0, "ms")),
    ],
)
def test_large_numbers_get_a_larger_unit(metric: str, largest: float, expected: tuple[float, str]) -> None:
    assert scaled_unit(metric, largest) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], 0), ([0.0], 0), ([120.0, 36_576.0], 0), ([0.0194, 0.31], 4), ([12.5, 0.2], 2), ([1234.5], 0), ([1e-12], 6)],
)
def test_a_column_shows_four_digits_of_its_largest_number(values: list[float], expected: int) -> None:
    assert decimals_for(values) == expected


def test_numbers_have_their_thousands_apart() -> None:
    assert number(36_576.0) == "36,576"
    assert number(0.5, 2) == "0.50"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7_260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_span_has_two_units_at_most(seconds: float, expected: str) -> None:
    assert span(timedelta(seconds=seconds)) == expected


def test_every_provenance_of_the_record_is_explained() -> None:
    assert set(PROVENANCE) == set(PROVENANCES)
