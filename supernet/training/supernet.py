"""Training of shared weights: several subnets a step, taught by the labels, by the first of them or by a teacher.

In-place distillation as in BigNAS (Yu et al. 2020, section 3.1): the largest subnet learns from the labels,
the others from its probabilities in the same step.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.errors import TrainingError
from supernet.modes import evaluation_mode
from supernet.tasks.task import labelled, predict
from supernet.tasks.task import loss as task_loss
from supernet.training.batches import divided
from supernet.training.collapse import CollapseRule, share_of_wrong
from supernet.training.distillation import Distillation, Teacher, soft_cross_entropy, taught_loss
from supernet.training.loop import HealthPoint, Loop, LoopConfig, Watcher, batch_of, derive_seed
from supernet.training.precision import computing_in, faster_precision
from supernet.training.recalibration import keeps_statistics, recalibrate
from supernet.training.reducer import Alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search_spaces import Architecture
    from supernet.shared_weights import SharedWeights
    from supernet.tasks.task import Task
    from supernet.training.batches import Batch
    from supernet.training.checkpoint import Checkpoints
    from supernet.training.precision import MeasuredPrecision, Precision
    from supernet.training.reducer import Reducer
    from supernet.training.sampling import SubnetSampler

RECALIBRATION_BATCHES = 8


def train_supernet(
    weights: SharedWeights,
    task: Task,
    sampler: SubnetSampler,
    config: LoopConfig,
    *,
    distillation: Distillation | None = None,
    teacher: Teacher | None = None,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
    reducer: Reducer | None = None,
) -> list[HealthPoint]:
    """Train in place; return the main validation metric of the smallest, a random and the largest subnet over time.

    `distillation` is the sampler's usual one unless given; `teacher` gives logits for inputs.  Goes on from the newest
    checkpoint, back to a healthy one where training collapses, and leaves the weights in training mode, averaged where
    `config` says so.  Several processes that call it with a `reducer` train one and the same weights together.

    Raises what `Loop.run` raises, and `TrainingError` where the distillation is impossible.
    """
    weights.train()
    step = _Recipe(weights, sampler, config, distillation or sampler.usual_distillation, teacher)
    validation = task.validation.targets

    def health(number: int) -> HealthPoint:
        rng = random.Random(derive_seed(config.seed, "health", number))
        subnets = {
            "smallest": weights.space.smallest(),
            "random": weights.space.sample(rng),
            "largest": weights.space.largest(),
        }
        trained = sampler.space_at(number - 1)
        values, wrong = {}, {}
        for name, architecture in subnets.items():
            logits = inherited_logits(weights, architecture, task, config)
            values[name] = task.measure(logits, validation)[task.main_metric]
            # A random one is another one at each check, and what is not trained yet has nothing to lose.
            if name != "random" and trained.contains(architecture):
                wrong[name] = share_of_wrong(logits, validation)
        return HealthPoint(number, values, wrong)

    loop = Loop(
        model=weights,
        task=task,
        step=step,
        config=config,
        checkpoints=checkpoints,
        measure_health=health,
        rule=CollapseRule.of(validation),
        watcher=watcher or Watcher(),
        reducer=reducer or Alone(),
    )
    with evaluation_mode(teacher) if isinstance(teacher, nn.Module) else nullcontext():
        return loop.run()


@dataclass(frozen=True)
class _Recipe:
    """What one step does with its batch."""

    weights: SharedWeights
    sampler: SubnetSampler
    config: LoopConfig
    distillation: Distillation
    teacher: Teacher | None

    def __post_init__(self) -> None:
        if self.distillation == "inplace" and self.sampler.divides_batch:
            raise TrainingError(
                "distillation 'inplace' needs all subnets of a step to see the same inputs, and this recipe divides "
                "the batch among them; use distillation 'labels', with or without a teacher."
            )

    def __call__(self, batch: Batch) -> Tensor:
        rng = random.Random(derive_seed(self.config.seed, "subnets", batch.step))
        chosen = self.sampler.architectures(batch.step, rng)
        with torch.no_grad():
            taught = None if self.teacher is None else self.teacher(batch.inputs).float()
        if self.sampler.divides_batch:
            return self._divided(batch, chosen, taught)
        return self._together(batch, chosen, taught)

    def _together(self, batch: Batch, chosen: Sequence[Architecture], taught: Tensor | None) -> Tensor:
        """All architectures on the whole batch, each with a backward pass of its own, so that one graph is kept."""
        first: Tensor | None = None
        losses: list[Tensor] = []
        for architecture in chosen:
            with self.weights.lent(architecture) as subnet:
                logits = _logits(subnet, batch.inputs)
                if first is None or self.distillation == "labels":
                    total = self._label_loss(logits, batch.targets, taught)
                else:
                    total = soft_cross_entropy(labelled(logits, batch.targets)[0], labelled(first, batch.targets)[0])
                batch.backward(total)
            first = logits.detach() if first is None else first
            losses.append(total.detach())
        return sum(losses[1:], losses[0]) / len(losses)

    def _divided(self, batch: Batch, chosen: Sequence[Architecture], taught: Tensor | None) -> Tensor:
        """Row n of the whole batch goes to architecture n modulo their number: one graph, one backward pass."""
        count = len(chosen)
        logits, order = [], []
        rows = torch.arange(len(batch.inputs))
        for number, architecture in enumerate(chosen):
            own = rows[(number - batch.start) % count :: count]
            if len(own) > 0:
                logits.append(_logits(self.weights.borrow(architecture), batch.inputs[own]))
                order.append(own)
        mixed = torch.cat(order)
        total = self._label_loss(torch.cat(logits), batch.targets[mixed], taught if taught is None else taught[mixed])
        batch.backward(total)
        return total.detach()

    def _label_loss(self, logits: Tensor, targets: Tensor, taught: Tensor | None) -> Tensor:
        return taught_loss(logits, targets, taught, self.config.label_smoothing)


def _logits(subnet: nn.Module, inputs: Tensor) -> Tensor:
    """Losses are computed in fp32, whatever the products were computed in."""
    logits: Tensor = subnet(inputs).float()
    return logits


def measured_precision(weights: SharedWeights, task: Task, config: LoopConfig) -> MeasuredPrecision:
    """The precision in which this machine trains the largest subnet faster; changes nothing."""
    # What a step computes at a time: where memory allows no more than a part, it allows no whole batch here either.
    part = next(divided(0, *batch_of(task, 0, config), config.accumulate))
    module = weights.extract(weights.space.largest()).train()

    def step(precision: Precision) -> None:
        with computing_in(precision, part.inputs.device.type):
            torch.autograd.backward(task_loss(module(part.inputs).float(), part.targets))

    with torch.random.fork_rng(devices=[]):  # dropout and the like
        return faster_precision(step)


def score_inherited(
    weights: SharedWeights, architecture: Architecture, task: Task, config: LoopConfig
) -> dict[str, float]:
    """Validation metrics of a subnet with shared weights; running statistics are recalibrated first."""
    return task.measure(inherited_logits(weights, architecture, task, config), task.validation.targets)


def inherited_logits(weights: SharedWeights, architecture: Architecture, task: Task, config: LoopConfig) -> Tensor:
    """Logits of a subnet with shared weights for the validation split; running statistics are recalibrated first."""
    return predict(recalibrated(weights.borrow(architecture), task, config), task.validation)


def extract_recalibrated(
    weights: SharedWeights, architecture: Architecture, task: Task, config: LoopConfig
) -> nn.Module:
    """A copy of a subnet that computes what its inherited score was measured with, running statistics included.

    Whoever runs an extracted module for its outputs wants this one: shared weights keep no statistics.
    """
    return recalibrated(weights.extract(architecture), task, config)


def recalibrated(module: nn.Module, task: Task, config: LoopConfig) -> nn.Module:
    """`module` with running statistics of training data, where it keeps any; as it is where it does not."""
    if keeps_statistics(module):
        device = next(module.parameters()).device
        recalibrate(module, (batch_of(task, step, config)[0].to(device) for step in range(RECALIBRATION_BATCHES)))
    return module
