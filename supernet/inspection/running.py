"""What a module answers for a task's samples, and which of its parameters learn from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from supernet.inspection.finding import Finding, problem, warning
from supernet.tasks.task import loss

if TYPE_CHECKING:
    from torch import nn

    from search_spaces import Architecture
    from supernet.tasks.task import Task

SAMPLES = 4


@dataclass
class Learning:
    """Which parameters got a gradient in any architecture, and which could have."""

    asked: dict[str, int] = field(default_factory=dict)  # in how many architectures
    reached: set[str] = field(default_factory=set)

    def findings(self) -> list[Finding]:
        """A warning for each parameter that never got one."""
        return [
            warning(
                "no-gradient",
                name,
                f"{name} received no gradient in any of {count} architectures that have it: the output does not depend "
                "on it. Leave it out, or set requires_grad to False where it is meant to stay as it is.",
            )
            for name, count in self.asked.items()
            if name not in self.reached
        ]


def run_once(module: nn.Module, architecture: Architecture, task: Task, learning: Learning) -> Finding | None:
    """One step forwards and backwards in training mode, noting what got a gradient; what went wrong, if anything did.

    The module's gradients and mode are not restored.
    """
    where = architecture.to_json()
    inputs, targets = task.train.read(torch.arange(SAMPLES) % len(task.train))
    module.train()
    try:
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(0)
            answer = module(inputs)
            wrong = _wrong(answer, targets, task, where)
            if wrong is not None:
                return wrong
            loss(answer, targets).backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  (somebody's forward: whatever it raises is the finding)
        return problem(
            "forward-failed",
            where,
            f"the module of {where} cannot be trained on inputs of the shape {tuple(inputs.shape)}: "
            f"{type(error).__name__}: {error}",
        )
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            learning.asked[name] = learning.asked.get(name, 0) + 1
            if parameter.grad is not None:
                learning.reached.add(name)
    return None


def _wrong(answer: object, targets: torch.Tensor, task: Task, where: str) -> Finding | None:
    wanted = (*targets.shape, task.classes)
    if not isinstance(answer, torch.Tensor):
        given = type(answer).__name__
    elif tuple(answer.shape) != wanted:
        given = f"the shape {tuple(answer.shape)}"
    else:
        return None
    return problem(
        "wrong-output",
        where,
        f"the module of {where} answers {len(targets)} samples with {given}; it must be a tensor of the shape "
        f"{wanted}, a number for each class.",
    )
