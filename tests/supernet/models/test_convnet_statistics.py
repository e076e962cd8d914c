"""Running statistics of a convolutional subnet: whose they are when it is scored, retrained or timed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from search_spaces import load_space
from supernet.export.onnx import export_onnx
from supernet.export.runtime import Session
from supernet.models.registry import load_builder
from supernet.shared_weights import SharedWeights
from supernet.tasks.registry import load_task
from supernet.training.loop import LoopConfig, batch_of
from supernet.training.recalibration import recalibrate
from supernet.training.sampling import Sandwich
from supernet.training.supernet import RECALIBRATION_BATCHES, score_inherited, train_supernet
from tests.supernet.models.examples import images
from tests.supernet.toys import randomise

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

SPACE = load_space("convnet", depth=(1, 2), width=8, kernel=(3, 5), expansion=2)
CONFIG = LoopConfig(steps=8, batch=4, seed=3)


def shared() -> SharedWeights:
    return randomise(SharedWeights(load_builder("convnet", images()), SPACE))


def statistics(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers() if name.endswith(("_mean", "_var"))}


def recalibrated(module: nn.Module) -> dict[str, float]:
    task = images()
    recalibrate(module, (batch_of(task, step, CONFIG)[0] for step in range(RECALIBRATION_BATCHES)))
    return task.score(module, task.validation)


def test_a_score_does_not_depend_on_what_other_architectures_saw() -> None:
    weights, task = shared(), images()
    small, large = SPACE.smallest(), SPACE.largest()
    alone = recalibrated(weights.extract(small))
    assert score_inherited(weights, small, task, CONFIG) == alone

    other = weights.borrow(large)
    other.train()(task.example(8) * 50 + 100)  # gathers statistics of other data, for the other architecture
    assert score_inherited(weights, large, task, CONFIG) != alone
    module = weights.extract(small)
    for name, buffer in statistics(module).items():
        assert torch.equal(buffer, torch.full_like(buffer, float(name.endswith("_var")))), "private, and fresh"
    assert recalibrated(module) == alone
    assert score_inherited(weights, small, task, CONFIG) == alone


def test_a_score_does_not_depend_on_what_the_architecture_saw_before() -> None:
    module, task = shared().extract(SPACE.largest()), images()
    alone = recalibrated(module)
    module.train()(task.example(8) * 50 + 100)
    assert task.score(module, task.validation) != alone
    assert recalibrated(module) == alone


def test_every_normalisation_is_recalibrated() -> None:
    module = shared().extract(SPACE.largest())
    before = statistics(module)
    recalibrated(module)
    after = statistics(module)
    assert before.keys() == after.keys()
    assert not [name for name, buffer in after.items() if torch.equal(buffer, before[name])]


@pytest.mark.slow
def test_inherited_scores_are_those_of_trained_networks_and_depend_on_recalibration() -> None:
    task = load_task("digits")
    weights = SharedWeights(load_builder("convnet", task), SPACE)
    config = LoopConfig(steps=120, batch=64, learning_rate=5e-3, health_every=120)
    (health,) = train_supernet(weights, task, Sandwich(SPACE, random_subnets=1), config)
    assert all(error < 0.3 for error in health.values.values()), health  # chance is 0.9
    for architecture in (SPACE.smallest(), SPACE.largest()):
        recalibrated = score_inherited(weights, architecture, task, config)["error"]
        assert recalibrated < task.score(weights.extract(architecture), task.validation)["error"] - 0.1


@pytest.mark.slow
def test_a_file_to_be_timed_has_the_same_operators_whatever_the_statistics(tmp_path: Path) -> None:
    """Only values differ, and values do not change how long a product takes: these are no denormals."""
    import onnx

    task, weights = replace(images(), name="timed"), shared()
    kinds = []
    for index, prepared in enumerate((False, True)):
        module = weights.extract(SPACE.largest())
        if prepared:
            recalibrated(module)
        path = tmp_path / f"{index}.onnx"
        export_onnx(module, task.example(2), path)
        kinds.append([(node.op_type, len(node.input)) for node in onnx.load(path).graph.node])
        outputs = torch.from_numpy(Session(path).run(task.example(2).numpy()))
        assert outputs.isfinite().all()
        assert (outputs.abs() > torch.finfo(torch.float32).tiny).all()
    assert kinds[0] == kinds[1]
