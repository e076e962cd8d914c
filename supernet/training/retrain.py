"""Training of one extracted architecture on its own, with a teacher."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import nn

from supernet.modes import evaluation_mode
from supernet.training.distillation import Teacher, taught_loss
from supernet.training.loop import HealthPoint, Loop, LoopConfig, Watcher

if TYPE_CHECKING:
    from torch import Tensor

    from supernet.tasks.task import Task
    from supernet.training.batches import Batch
    from supernet.training.checkpoint import Checkpoints


def retrain(
    module: nn.Module,
    task: Task,
    config: LoopConfig,
    *,
    teacher: Teacher | None = None,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
) -> list[HealthPoint]:
    """Train `module` in place on the training split; return its validation metrics over the steps.

    With a `teacher`, half of the loss is the cross-entropy to its probabilities for the same augmented inputs.
    Goes on from the newest checkpoint, and leaves the module in training mode.  Raises what `Loop.run`
    raises.
    """
    module.train()

    def step(batch: Batch) -> Tensor:
        logits = module(batch.inputs).float()  # losses in fp32, whatever the products were computed in
        with torch.no_grad():
            taught = None if teacher is None else teacher(batch.inputs).float()
        total = taught_loss(logits, batch.targets, taught, config.label_smoothing)
        batch.backward(total)
        return total.detach()

    loop = Loop(
        model=module,
        task=task,
        step=step,
        config=config,
        checkpoints=checkpoints,
        measure_health=lambda done: HealthPoint(done, task.score(module, task.validation)),
        watcher=watcher or Watcher(),
    )
    with evaluation_mode(teacher) if isinstance(teacher, nn.Module) else nullcontext():
        return loop.run()
