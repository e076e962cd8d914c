"""What a task is: data in three splits, a loss, metrics, and how training images are varied.

Owns the types that every task fills in, and scoring.  Single tasks live beside it; which exist is
`registry`'s.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from supernet.modes import evaluation_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Goal = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Split:
    """Inputs and targets of one part of the data; the first axis counts the samples."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


def _unchanged(inputs: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    return inputs


@dataclass(frozen=True, kw_only=True)
class Task:
    """A supervised task with class targets.

    `metrics` maps each name that a study may use as an objective to its goal; `score` fills them in.  The
    search sees `train` and `validation`; `test` is for the one number at the end.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int
    augment: Callable[[Tensor, torch.Generator], Tensor] = _unchanged
    metrics: Mapping[str, Goal] = field(
        default_factory=lambda: {"error": "minimize", "accuracy": "maximize", "loss": "minimize"}
    )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample, without the batch axis."""
        return tuple(self.train.inputs.shape[1:])

    def example(self, batch: int = 1) -> Tensor:
        """`batch` real training inputs, repeated where there are too few."""
        return self.train.inputs[torch.arange(batch) % len(self.train)]

    def checksum(self) -> str:
        """SHA-256 over every split's shapes and values, in a fixed order."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for tensor in (split.inputs, split.targets):
                digest.update(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats.  logits (batch, classes), targets (batch,) -> scalar."""
    return nn.functional.cross_entropy(logits, targets)


def score_logits(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """`error` and `accuracy` as fractions, `loss` in nats.  Ties go to the first class, as `argmax` does."""
    wrong = int((logits.argmax(1) != targets).sum())
    return {
        "error": wrong / len(targets),
        "accuracy": 1 - wrong / len(targets),
        "loss": float(loss(logits, targets)),
    }


@torch.no_grad()  # not inference_mode: a table that the module keeps for later must stay usable in training
def predict(module: nn.Module, inputs: Tensor, batch: int = 512) -> Tensor:
    """Logits in evaluation mode; the modes of the module and its parts are restored."""
    with evaluation_mode(module):
        return torch.cat([module(chunk) for chunk in torch.split(inputs, batch)])


def score(module: nn.Module, split: Split) -> dict[str, float]:
    """The metrics of `module` on a split."""
    return score_logits(predict(module, split.inputs), split.targets)
