"""What may be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import SpecError
from runner.fidelity.settings import FidelitySettings


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"architectures": 2}, "--architectures 2: give a whole number from 3"),
        ({"repeats": 0}, "--repeats 0"),
        ({"repeated": 2}, "--repeated 2: give a whole number from 3 to 40"),
        ({"repeated": 41}, "--repeated 41"),
        ({"steps": 0}, "--steps 0"),
        ({"minutes": 0.0}, "--minutes 0: give a positive number"),
        ({"minutes": float("nan")}, "--minutes nan"),
        ({"workers": 0}, "--workers 0"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as refused:
        FidelitySettings(**wrong)
    assert said in str(refused.value)


def test_only_the_first_are_repeated() -> None:
    settings = FidelitySettings(architectures=10, repeats=3, repeated=4)
    assert [settings.repeats_of(place) for place in range(6)] == [3, 3, 3, 3, 1, 1]
    assert FidelitySettings().repeats_of(39) == 2


def test_what_is_exported_is_retrained() -> None:
    assert FidelitySettings(exported=True).retrains
    assert not FidelitySettings().retrains
