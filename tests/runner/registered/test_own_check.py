"""A task or family of one's own that cannot be trained is refused in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from runner.errors import ExtensionError
from runner.registered.own_check import check_own_answers, check_own_factory, check_own_patterns, check_own_task
from runner.registered.values import AllowedExtension
from search_spaces import Architecture, Categorical, Ordinal, SearchSpace
from supernet.slicing import Layouts, Packed
from supernet.tasks.task import UNLABELLED, Split
from tests.runner.registered.own_code import plain
from tests.supernet.models import examples

ENTRY = AllowedExtension(name="mine", kind="task", target="m:load")
INPUTS, TARGETS = torch.randn(6, 4), torch.arange(6) % 3


@pytest.mark.parametrize("made", [examples.images, examples.sentences, examples.language, examples.recordings])
def test_every_kind_of_task_passes(made: Any) -> None:
    task = made()
    assert check_own_task(ENTRY, task) is task


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (Split(INPUTS[:0], TARGETS[:0]), "is empty"),
        (Split(INPUTS, TARGETS[:4]), "has 6 inputs and 4 targets"),
        (Split(INPUTS, TARGETS.float()), r"targets of type torch\.float32"),
        (Split(INPUTS, TARGETS + 1), "targets from 1 to 3; classes are 0 to 2"),
        (Split(INPUTS, TARGETS - 1), "targets from -1 to 1"),
        (Split(INPUTS, torch.full((6,), UNLABELLED)), "no labelled target"),
        (Split(INPUTS.byte(), TARGETS), r"inputs of type torch\.uint8"),
    ],
)
@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_split_that_cannot_be_used(name: str, split: Split, words: str) -> None:
    with pytest.raises(ExtensionError, match=f"'mine' .*its {name} split .*{words}"):
        check_own_task(ENTRY, replace(plain(), **{name: split}))


def test_bytes_that_are_prepared_are_fine() -> None:
    task = replace(plain(), train=Split(INPUTS.byte(), TARGETS, torch.Tensor.float))
    assert check_own_task(ENTRY, task) is task


def test_tokens_are_whole_numbers_of_a_vocabulary() -> None:
    with pytest.raises(ExtensionError, match="is of tokens"):
        check_own_task(ENTRY, replace(plain(), kind="tokens", vocabulary=9))
    with pytest.raises(ExtensionError, match="names a vocabulary"):
        check_own_task(ENTRY, replace(examples.sentences(), vocabulary=None))


def test_something_must_be_measured() -> None:
    with pytest.raises(ExtensionError, match="no metrics"):
        check_own_task(ENTRY, replace(plain(), metrics={}))


NOWHERE = Architecture({})


def test_a_row_of_logits_for_each_target_passes() -> None:
    check_own_answers(ENTRY, lambda architecture: nn.Linear(4, 3), NOWHERE, plain())
    language = examples.language()
    by_position = nn.Embedding(examples.VOCABULARY, language.classes)
    check_own_answers(ENTRY, lambda architecture: by_position, NOWHERE, language)


def test_answers_of_another_shape() -> None:
    with pytest.raises(ExtensionError, match=r"'mine' .*the shape \(2, 5\); it must be \(2, 3\)"):
        check_own_answers(ENTRY, lambda architecture: nn.Linear(4, 5), NOWHERE, plain())


def test_a_module_that_cannot_take_the_inputs() -> None:
    with pytest.raises(ExtensionError, match=r"failed while computing \{\}: RuntimeError"):
        check_own_answers(ENTRY, lambda architecture: nn.Linear(7, 3), NOWHERE, plain())


def test_an_architecture_that_is_refused_is_nobody_s_fault_here() -> None:
    def build(architecture: Architecture) -> nn.Module:
        raise ValueError("too narrow")

    check_own_answers(ENTRY, build, NOWHERE, plain())


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (lambda logits, targets: {"error": 0.1}, "returned error, and its metrics name 'accuracy'"),
        (lambda logits, targets: 0.1, "returned float"),
        (
            lambda logits, targets: dict.fromkeys(("error", "accuracy", "loss"), float("nan")),
            "returned nan for 'error'",
        ),
    ],
)
def test_what_measures_must_give_a_number_for_each_metric(measure: Any, words: str) -> None:
    with pytest.raises(ExtensionError, match=f"'mine' .*its `measure` {words}"):
        check_own_task(ENTRY, replace(plain(), measure=measure))


def _shared_by_all() -> Any:
    module = nn.Linear(4, 3)
    return lambda architecture: module


def test_a_factory_that_would_spoil_training_is_refused() -> None:
    spaces = SearchSpace({"width": Ordinal(4, 8)})
    ends = [spaces.smallest(), spaces.largest()]
    check_own_factory(ENTRY, lambda architecture: nn.Linear(4, 3), ends, plain(), Layouts(), 0)
    with pytest.raises(ExtensionError, match=r"'mine' .*shared-module: .* supernaut check mine"):
        check_own_factory(ENTRY, _shared_by_all(), ends, plain(), Layouts(), 0)


def test_a_pattern_may_be_about_a_part_of_the_space_that_a_study_leaves_out() -> None:
    def build(architecture: Architecture) -> nn.Module:
        return nn.ModuleDict({str(architecture["kind"]): nn.Linear(4, 3)})

    whole = SearchSpace({"kind": Categorical("first", "second")})
    part = whole.fix({"kind": "first"})
    check_own_patterns(ENTRY, build, [part, whole], Layouts({"second.weight": Packed(3)}, unused=True))
    with pytest.raises(ExtensionError, match=r"'mine' .*'third\.weight' matches no parameter"):
        check_own_patterns(ENTRY, build, [part, whole], Layouts({"third.weight": Packed(3)}, unused=True))
