"""A factory of anyone's own becomes a family in one call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet.errors import IncompatibleTask, LayoutError, OptionError
from supernet.models.extension import own_model
from supernet.slicing import Packed
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from supernet.tasks.task import Task

SPACE = SearchSpace({"width": Ordinal(4, 8)})
VECTORS = Example(kind="features", shape=(5,), classes=3)
TOKENS = Example(kind="tokens", shape=(6,), classes=3, vocabulary=9)


def fixed(architecture: Architecture) -> nn.Module:
    """Two linear maps.

    More words.
    """
    width = int(architecture["width"])
    return nn.Sequential(nn.Linear(5, width), nn.Linear(width, 3))


def sized(architecture: Architecture, task: Task) -> nn.Module:
    width = int(architecture["width"])
    return nn.Sequential(nn.Linear(task.input_shape[0], width), nn.Linear(width, task.classes))


class Net(nn.Sequential):
    """A class is a factory too."""

    def __init__(self, architecture: Architecture, *, task: Task) -> None:
        super().__init__(nn.Linear(task.input_shape[0], task.classes))


def test_a_factory_of_an_architecture() -> None:
    family = own_model("mine", space=SPACE, build=fixed, example=VECTORS, layouts={"0.*": Packed(2)})
    assert (family.space.name, family.space.summary, family.model.name) == ("mine", "Two linear maps.", "mine")
    assert family.model.layouts == {"0.*": Packed(2)}
    assert family.model.example is VECTORS
    assert family.space.space({"width": 8}).size() == 1
    module = family.model.builder(VECTORS())(SPACE.largest())
    assert module(torch.zeros(2, 5)).shape == (2, 3)


@pytest.mark.parametrize("build", [sized, partial(sized), Net])
def test_a_factory_that_is_sized_by_the_task(build: Any) -> None:
    family = own_model(space=SPACE, build=build, example=VECTORS())
    other = Example(kind="features", shape=(2,), classes=7)()
    assert family.model.builder(other)(SPACE.smallest())(torch.zeros(1, 2)).shape == (1, 7)


@pytest.mark.parametrize(
    ("build", "example", "given", "words"),
    [
        (sized, VECTORS, TOKENS, r"another kind of input \(tokens\) than .* \(features\)"),
        (
            fixed,
            VECTORS,
            Example(kind="features", shape=(5,), classes=4),
            r"number of classes \(4\).* parameter called",
        ),
        (fixed, TOKENS, Example(kind="tokens", shape=(6,), classes=3, vocabulary=10), "a vocabulary of 10"),
        (
            sized,
            TOKENS,
            Example(kind="tokens", shape=(6,), classes=3, vocabulary=9, per_position=True),
            "target for each position",
        ),
    ],
)
def test_a_task_that_it_was_not_written_for(build: Any, example: Example, given: Example, words: str) -> None:
    with pytest.raises(IncompatibleTask, match=words):
        own_model(space=SPACE, build=build, example=example).model.builder(given())


def needing_more(architecture: Architecture, classes: int) -> nn.Module:
    return nn.Linear(int(architecture["width"]), classes)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"space": {"width": (4, 8)}}, OptionError, "space must be a SearchSpace, got dict"),
        ({"build": nn.Linear(2, 2).weight}, OptionError, "build must be a function"),
        ({"build": needing_more}, OptionError, "it needs architecture, classes"),
        ({"example": (2, 3)}, OptionError, "example must be a Task or make one"),
        ({"layouts": {"*": Packed}}, LayoutError, "must be an object such as"),
    ],
)
def test_parts_that_are_not_what_they_should_be(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        own_model(**{"space": SPACE, "build": fixed, "example": VECTORS, **options})
