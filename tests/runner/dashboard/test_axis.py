import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.dashboard.axis import make_axis

numbers = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False).map(
    lambda value: value if abs(value) > 1e-9 else 0.0
)


@given(st.lists(numbers, min_size=1, max_size=20), st.integers(3, 9), st.booleans())
def test_every_number_has_a_place_and_every_tick_lies_on_the_axis(values: list[float], ticks: int, whole: bool) -> None:
    axis = make_axis(values, ticks=ticks, whole=whole)
    assert axis.low < axis.high
    assert all(0 < axis.position(value) < 1 for value in values)
    assert axis.position(min(values)) <= axis.position(max(values))
    assert len(axis.ticks) <= 2 * ticks
    tolerance = 1e-9 * (axis.high - axis.low)
    assert all(axis.low - tolerance <= place <= axis.high + tolerance for place, _ in axis.ticks)


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=20))
def test_ticks_tell_the_numbers_they_stand_at(values: list[float]) -> None:
    for place, words in make_axis(values, ticks=6).ticks:
        assert math.isclose(float(words.replace(",", "")), place, rel_tol=1e-6, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [((1.0, 10.0), False), ((1.0, 10.1), True), ((0.0, 1000.0), False), ((-1.0, 1000.0), False), ((5.0,), False)],
)
def test_more_than_a_decade_is_shown_on_a_logarithmic_scale(values: tuple[float, ...], logarithmic: bool) -> None:
    assert make_axis(values, ticks=6).logarithmic is logarithmic


def test_a_logarithmic_axis_gives_each_decade_the_same_room() -> None:
    axis = make_axis([0.1, 10.0], ticks=6)
    assert axis.position(1.0) == pytest.approx(0.5)
    assert [words for _, words in axis.ticks] == ["0.1", "0.3", "1", "3", "10"]


@pytest.mark.parametrize("value", [0.0, 3.5, -2.0, 1e-12, 1e12])
def test_equal_values_lie_in_the_middle(value: float) -> None:
    assert make_axis([value] * 3, ticks=5).position(value) == pytest.approx(0.5)


def test_without_values_there_still_is_an_axis() -> None:
    assert make_axis([], ticks=5).position(0.5) == pytest.approx(0.5)


def test_what_lies_outside_is_drawn_at_the_end() -> None:
    axis = make_axis([1.0, 100.0], ticks=5)
    assert (axis.position(-3.0), axis.position(1e9)) == (0.0, 1.0)


def test_ticks_are_written_in_the_unit_of_the_axis() -> None:
    axis = make_axis([10_000.0, 50_000.0], ticks=5, factor=1e3)
    assert axis.ticks == ((10_000.0, "10"), (20_000.0, "20"), (30_000.0, "30"), (40_000.0, "40"), (50_000.0, "50"))


def test_whole_numbers_have_no_ticks_between_them() -> None:
    assert [words for _, words in make_axis([1, 2], ticks=8, whole=True).ticks] == ["1", "2"]
