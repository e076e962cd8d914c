"""Training of shared weights: several subnets a step, the first teaching the others.

In-place distillation as in BigNAS (Yu et al. 2020, section 3.1): the largest subnet learns from the labels,
the others from its probabilities in the same step.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch

from supernet.tasks.task import labelled
from supernet.tasks.task import loss as task_loss
from supernet.training.distillation import soft_cross_entropy
from supernet.training.loop import HealthPoint, Loop, LoopConfig, Watcher, batch_of, derive_seed
from supernet.training.precision import computing_in, faster_precision
from supernet.training.recalibration import keeps_statistics, recalibrate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from search_spaces import Architecture
    from supernet.shared_weights import SharedWeights
    from supernet.tasks.task import Task
    from supernet.training.checkpoint import Checkpoints
    from supernet.training.precision import MeasuredPrecision, Precision
    from supernet.training.sampling import SubnetSampler

RECALIBRATION_BATCHES = 8


def train_supernet(
    weights: SharedWeights,
    task: Task,
    sampler: SubnetSampler,
    config: LoopConfig,
    *,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
) -> list[HealthPoint]:
    """Train in place; return the main validation metric of the smallest, a random and the largest subnet over time.

    Goes on from the newest checkpoint, and leaves the weights in training mode.  Raises what `Loop.run`
    raises.
    """
    weights.train()

    def step(number: int, inputs: Tensor, targets: Tensor) -> Tensor:
        rng = random.Random(derive_seed(config.seed, "subnets", number))
        first, *others = sampler.architectures(rng)
        logits = weights.borrow(first)(inputs).float()  # losses in fp32, whatever the products were computed in
        total = task_loss(logits, targets)
        torch.autograd.backward(total)
        reported = total.detach()
        for architecture in others:
            imitated, _ = labelled(weights.borrow(architecture)(inputs).float(), targets)
            imitation = soft_cross_entropy(imitated, labelled(logits, targets)[0])
            torch.autograd.backward(imitation)
            reported = reported + imitation.detach()
        return reported / (1 + len(others))

    def health(number: int) -> Mapping[str, float]:
        rng = random.Random(derive_seed(config.seed, "health", number))
        subnets = {
            "smallest": weights.space.smallest(),
            "random": weights.space.sample(rng),
            "largest": weights.space.largest(),
        }
        return {name: score_inherited(weights, a, task, config)[task.main_metric] for name, a in subnets.items()}

    loop = Loop(
        model=weights,
        task=task,
        step=step,
        config=config,
        checkpoints=checkpoints,
        measure_health=health,
        watcher=watcher or Watcher(),
    )
    return loop.run()


def measured_precision(weights: SharedWeights, task: Task, config: LoopConfig) -> MeasuredPrecision:
    """The precision in which this machine trains the largest subnet faster; changes nothing."""
    inputs, targets = batch_of(task, 0, config)
    module = weights.extract(weights.space.largest()).train()

    def step(precision: Precision) -> None:
        with computing_in(precision, inputs.device.type):
            torch.autograd.backward(task_loss(module(inputs).float(), targets))

    with torch.random.fork_rng(devices=[]):  # dropout and the like
        return faster_precision(step)


def score_inherited(
    weights: SharedWeights, architecture: Architecture, task: Task, config: LoopConfig
) -> dict[str, float]:
    """Validation metrics of a subnet with shared weights; running statistics are recalibrated first."""
    module = weights.borrow(architecture)
    if keeps_statistics(module):
        recalibrate(module, (batch_of(task, step, config)[0] for step in range(RECALIBRATION_BATCHES)))
    return task.score(module, task.validation)
