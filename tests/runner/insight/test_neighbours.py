"""Architectures that are alike."""

from __future__ import annotations

from runner.insight.neighbours import Difference, differences, nearest
from search_spaces import Architecture

HERE = Architecture({"depth": 2, "width": 32, "mlp": True})


def test_differences_by_name_and_by_type() -> None:
    there = Architecture({"depth": 3, "width": 32, "mlp": 1, "heads": "two"})
    assert differences(HERE, there) == (
        Difference(choice="depth", here=2, there=3),
        Difference(choice="heads", here=None, there="two"),
        Difference(choice="mlp", here=True, there=1),
    )
    assert differences(HERE, HERE) == ()


def test_the_nearest_come_first_and_itself_never() -> None:
    far = Architecture({"depth": 3, "width": 64, "mlp": False})
    near = Architecture({**HERE, "depth": 3})
    other = Architecture({**HERE, "depth": 4})
    found = nearest(HERE, [far, HERE, near, other], 2)
    assert [architecture for architecture, _ in found] == [near, other]
    assert nearest(HERE, [HERE], 8) == ()
