"""What holds for every registered family: a family that is added is tested here without a new line."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch

from predictors.costs import cost
from search_spaces import Architecture, load_space, space_names
from supernet.export.onnx import export_onnx
from supernet.export.parity import check_parity
from supernet.export.runtime import Session
from supernet.models.registry import family_names, load_builder, load_family
from supernet.shared_weights import SharedWeights
from supernet.tasks.task import loss, predict
from tests.supernet.models.examples import TASKS
from tests.supernet.toys import randomise

if TYPE_CHECKING:
    from pathlib import Path

    from search_spaces import SearchSpace

SAMPLES = 6


def plain_space(family: str) -> SearchSpace:
    """The family's default space without compression, which would round gradients and exports."""
    space = load_space(family)
    return space.narrow({"*.bits": (32,)}) if any(name.endswith(".bits") for name in space.choices) else space


def drawn(family: str) -> list[Architecture]:
    space, rng = plain_space(family), random.Random(5)
    return [space.smallest(), space.largest(), *(space.sample_balanced(rng) for _ in range(SAMPLES))]


@cache
def shared(family: str) -> SharedWeights:
    """In evaluation mode; made once, since nobody changes them and their probes take a second or more."""
    return randomise(SharedWeights(load_builder(family, TASKS[family]()), plain_space(family))).eval()


def test_spaces_and_models_have_the_same_names() -> None:
    assert set(space_names()) == set(family_names()) == set(TASKS)


@pytest.mark.parametrize("family", family_names())
class TestEveryFamily:
    def test_it_gives_one_row_of_logits_for_each_target(self, family: str) -> None:
        task = TASKS[family]()
        for architecture in drawn(family):
            logits = predict(load_builder(family, task)(architecture), task.validation)
            assert logits.shape == (*task.validation.targets.shape, task.classes)
            assert logits.isfinite().all()

    def test_every_parameter_of_every_architecture_gets_a_gradient(self, family: str) -> None:
        task = TASKS[family]()
        for architecture in drawn(family):
            module = load_builder(family, task)(architecture).train()
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
            loss(module(task.example(8)), task.train.targets[:8]).backward()
            without = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
            assert not without, (architecture, without)

    @pytest.mark.slow
    def test_an_extracted_subnet_computes_bit_by_bit_what_the_borrowed_one_does(self, family: str) -> None:
        task = TASKS[family]()
        weights = shared(family)
        for architecture in drawn(family):
            borrowed, extracted = weights.borrow(architecture), weights.extract(architecture)
            assert torch.equal(predict(borrowed, task.validation), predict(extracted, task.validation))

    def test_the_largest_architecture_costs_most_and_the_smallest_least(self, family: str) -> None:
        task = TASKS[family]()
        smallest, largest, *others = (cost(load_builder(family, task)(a), task.example(1)) for a in drawn(family))
        assert smallest.macs < largest.macs
        for other in others:
            assert smallest.parameters <= other.parameters <= largest.parameters
            assert smallest.macs <= other.macs

    def test_asking_twice_gives_the_same_answer_whatever_was_asked_between(self, family: str) -> None:
        task = TASKS[family]()
        weights = shared(family)
        first, second = drawn(family)[:2]
        before = predict(weights.borrow(first), task.validation)
        predict(weights.borrow(second), task.validation)
        assert torch.equal(predict(weights.borrow(first), task.validation), before)

    @pytest.mark.slow
    def test_the_exported_file_computes_what_the_module_computes(self, family: str, tmp_path: Path) -> None:
        task = TASKS[family]()
        weights = shared(family)
        for index, architecture in enumerate(drawn(family)[1:3]):  # the largest and one between
            module = weights.extract(architecture)
            path = tmp_path / f"{index}.onnx"
            export_onnx(module, task.example(2), path)
            inputs, _ = task.validation.read(slice(3))
            check_parity(predict(module, inputs).numpy(), Session(path).run(inputs.numpy()), family)

    @pytest.mark.slow
    def test_what_is_timed_can_be_exported(self, family: str, tmp_path: Path) -> None:
        task = TASKS[family]()
        module = shared(family).extract(plain_space(family).largest())
        for metric, workload_of in load_family(family).latencies.items():
            workload = workload_of(module, task.example(2), 32)
            assert metric.endswith("latency_ms")
            export_onnx(workload.module, workload.inputs, tmp_path / f"{metric}.onnx")
