"""Training of one extracted architecture on its own, with a teacher."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from supernet.modes import evaluation_mode
from supernet.tasks.task import labelled
from supernet.tasks.task import loss as task_loss
from supernet.training.distillation import soft_cross_entropy
from supernet.training.loop import HealthPoint, Loop, LoopConfig, Watcher

if TYPE_CHECKING:
    from torch import Tensor, nn

    from supernet.tasks.task import Task
    from supernet.training.checkpoint import Checkpoints

DISTILLATION_SHARE = 0.5  # of the loss; the labels have the other half


def retrain(
    module: nn.Module,
    task: Task,
    config: LoopConfig,
    *,
    teacher: nn.Module | None = None,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
) -> list[HealthPoint]:
    """Train `module` in place on the training split; return its validation metrics over the steps.

    With a `teacher`, half of the loss is the cross-entropy to its probabilities for the same augmented inputs.
    Goes on from the newest checkpoint, and leaves the module in training mode.  Raises what `Loop.run`
    raises.
    """
    module.train()

    def step(number: int, inputs: Tensor, targets: Tensor) -> Tensor:
        del number
        logits = module(inputs).float()  # losses in fp32, whatever the products were computed in
        total = task_loss(logits, targets)
        if teacher is not None:
            with torch.no_grad():
                taught = teacher(inputs).float()
            imitation = soft_cross_entropy(labelled(logits, targets)[0], labelled(taught, targets)[0])
            total = (1 - DISTILLATION_SHARE) * total + DISTILLATION_SHARE * imitation
        torch.autograd.backward(total)
        return total.detach()

    loop = Loop(
        model=module,
        task=task,
        step=step,
        config=config,
        checkpoints=checkpoints,
        measure_health=lambda _: task.score(module, task.validation),
        watcher=watcher or Watcher(),
    )
    with evaluation_mode(teacher) if teacher is not None else nullcontext():
        return loop.run()
