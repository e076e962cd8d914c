"""The error tree and the wording of an unknown name."""

from __future__ import annotations

import pickle

import pytest

from search_spaces import InfeasibleSpace, InvalidArchitecture, SpaceError, UnknownChoice, UnknownSpace
from search_spaces.errors import unknown_name


@pytest.mark.parametrize("error", [InfeasibleSpace, InvalidArchitecture, UnknownChoice, UnknownSpace])
def test_every_error_is_a_space_error_and_pickles(error: type[SpaceError]) -> None:
    assert issubclass(error, SpaceError)
    assert issubclass(error, ValueError)
    assert str(pickle.loads(pickle.dumps(error("why")))) == "why"


def test_unknown_name_lists_the_nearest_and_all() -> None:
    assert unknown_name("choice", "dept", ["depth", "width"]) == (
        "there is no choice 'dept'; did you mean 'depth'? Allowed: depth, width"
    )
    assert unknown_name("choice", "xyz", ["depth"]) == "there is no choice 'xyz'. Allowed: depth"
    assert unknown_name("choice", "x", []) == "there is no choice 'x'. Allowed: none"


def test_long_lists_are_cut() -> None:
    assert unknown_name("choice", "x", [f"name{i}" for i in range(100)]).endswith("name59 and 40 more")
