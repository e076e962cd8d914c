"""What a page says of an architecture in one line."""

from __future__ import annotations

import pytest

from runner.front import Point
from runner.service.views import _summary
from search_spaces import Architecture, Value


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"depth": 2, "width": 32, "layers.0.mixer": "softmax"}, "depth 2, width 32"),
        ({"depth": 2, "layers.0.bits": 32, "layers.1.bits": 4}, "depth 2, bits 4 and 32"),
        ({"layers.0.bits": 8, "layers.1.bits": 8}, "bits 8"),
        ({"layers.0.mixer": "softmax"}, ""),
        ({"stages.0.depth": 2, "stages.1.depth": 1, "stages.0.blocks.0.kernel": 3}, "depth 2/1 by stage"),
    ],
)
def test_the_summary_says_what_holds_for_all_layers_and_which_bits(answers: dict[str, Value], expected: str) -> None:
    assert _summary(Point(evaluation_id=1, architecture=Architecture(answers), values={}, later={})) == expected
