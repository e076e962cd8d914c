"""A task of random samples: of the shape that was asked for, the same every time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from runner.registered.own_check import check_own_task
from runner.registered.values import AllowedExtension
from supernet.errors import OptionError
from supernet.models.registry import family_names, load_builder, load_family
from supernet.tasks.example import Example

ENTRY = AllowedExtension(name="mine", kind="task", target="m:load")


@pytest.mark.parametrize(
    "example",
    [
        Example(kind="image", shape=(1, 8, 6), classes=3),
        Example(kind="audio", shape=(5, 9), classes=2),
        Example(kind="features", shape=(4,), classes=7),
        Example(kind="tokens", shape=(11,), classes=3, vocabulary=9),
        Example(kind="tokens", shape=(11,), classes=9, vocabulary=9, per_position=True),
    ],
)
def test_it_is_a_task_like_any_other(example: Example) -> None:
    task = check_own_task(ENTRY, example())
    assert task.input_shape == example.shape
    assert task.train.targets.shape[1:] == (example.shape if example.per_position else ())
    assert task.checksum() == example().checksum()
    if example.vocabulary is not None:
        assert 0 < int(task.train.inputs.min()) < int(task.train.inputs.max()) < example.vocabulary


def test_asking_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    Example(kind="features", shape=(4,), classes=7)()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "video", "shape": (3,)}, "one of the kinds image"),
        ({"kind": "image", "shape": (8, 8)}, "'image' has 3 axes"),
        ({"kind": "features", "shape": (0,)}, "at least 1"),
        ({"kind": "tokens", "shape": (8,)}, "a vocabulary belongs to tokens"),
        ({"kind": "features", "shape": (8,), "vocabulary": 4}, "a vocabulary belongs to tokens"),
        ({"kind": "tokens", "shape": (8,), "vocabulary": 1}, "at least 2 tokens"),
        ({"kind": "features", "shape": (8,), "per_position": True}, "targets by position"),
        ({"kind": "features", "shape": (8,), "classes": 1}, "at least 2 classes"),
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Example(**{"classes": 3, **options})


@pytest.mark.parametrize("family", family_names())
def test_each_family_can_be_built_for_its_example(family: str) -> None:
    make = load_family(family).example
    assert make is not None
    load_builder(family, make())
