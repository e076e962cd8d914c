"""What a task is: data in three splits, metrics, and how training inputs are varied.

Owns the types that every task fills in, the loss and scoring.  Single tasks live beside it; which exist is
`registry`'s.
"""

# B batch, T positions, C classes, N labelled predictions

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from supernet.modes import evaluation_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Goal = Literal["minimize", "maximize"]

Kind = Literal["image", "tokens", "audio", "features"]
"""What one sample is to a network: image (channels, height, width), tokens (length,) as int64 identifiers,
audio (features, frames), or a plain vector of features."""

UNLABELLED = -100  # the target of a position that has none; what torch's losses ignore by default
PADDING = 0  # the identifier of no token, which fills up sequences shorter than the longest
VALUES_AT_ONCE = 2**16  # inputs of one batch of `Split.batches`: large enough to be fast, small enough for any memory
MOST_AT_ONCE = 512  # samples
ROWS_AT_ONCE = 2**14  # samples of a checksum


def _as_kept(inputs: Tensor) -> Tensor:
    return inputs


@dataclass(frozen=True)
class Split:
    """Inputs and targets of one part of the data; the first axis counts the samples.

    `inputs` are as they are kept: bytes, say, mapped from a file.  `prepare` makes of some of them what a network
    reads; whoever feeds a network asks `read` or `batches`.
    """

    inputs: Tensor
    targets: Tensor
    prepare: Callable[[Tensor], Tensor] = _as_kept

    def __len__(self) -> int:
        return len(self.inputs)

    def read(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Prepared inputs and targets of some samples."""
        return self.prepare(self.inputs[rows]), self.targets[rows]

    def batches(self) -> Iterator[Tensor]:
        """All prepared inputs in order, some at a time."""
        values = max(1, math.prod(self.inputs.shape[1:]))
        size = max(1, min(MOST_AT_ONCE, VALUES_AT_ONCE // values))
        for start in range(0, len(self), size):
            yield self.prepare(self.inputs[start : start + size])


def _unchanged(inputs: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    return inputs


def score_logits(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """`error` and `accuracy` as fractions, `loss` in nats, over all labelled predictions.

    logits (..., classes), targets (...).  Ties go to the first class, as `argmax` does.
    """
    logits_NC, targets_N = labelled(logits, targets)
    wrong = int((logits_NC.argmax(1) != targets_N).sum())
    return {
        "error": wrong / len(targets_N),
        "accuracy": 1 - wrong / len(targets_N),
        "loss": float(nn.functional.cross_entropy(logits_NC, targets_N)),
    }


@dataclass(frozen=True, kw_only=True)
class Task:
    """A supervised task with class targets: one for each sample, or, `per_position`, one for each of its tokens.

    `metrics` maps each name that a study may use as an objective to its goal, the most telling one first; `measure`
    computes them from logits and targets.  `class_names` are the data's own words for the classes, in the order of
    the targets; empty where they have none.  `facts` are what else is known of the data, counts and shares by name: how
    much of it was cut or left out.  The search sees `train` and `validation`; `test` is for the one number at
    the end.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int
    class_names: tuple[str, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    kind: Kind = "image"
    vocabulary: int | None = None  # of a task of tokens: identifiers lie below it
    per_position: bool = False
    augment: Callable[[Tensor, torch.Generator], Tensor] = _unchanged
    measure: Callable[[Tensor, Tensor], dict[str, float]] = score_logits
    metrics: Mapping[str, Goal] = field(
        default_factory=lambda: {"error": "minimize", "accuracy": "maximize", "loss": "minimize"}
    )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample as a network reads it, without the batch axis."""
        return tuple(self.example(1).shape[1:])

    @property
    def main_metric(self) -> str:
        """The metric that stands for the others where there is room for one."""
        return next(iter(self.metrics))

    def example(self, batch: int = 1) -> Tensor:
        """`batch` real training inputs, repeated where there are too few."""
        return self.train.read(torch.arange(batch) % len(self.train))[0]

    def checksum(self) -> str:
        """SHA-256 over every split's shapes and values, in a fixed order."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for tensor in (split.inputs, split.targets):
                digest.update(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
                # Some at a time: overlapping windows take much more room apart than together.
                for start in range(0, len(tensor), ROWS_AT_ONCE):
                    digest.update(tensor[start : start + ROWS_AT_ONCE].contiguous().numpy().data)
        return digest.hexdigest()

    def score(self, module: nn.Module, split: Split) -> dict[str, float]:
        """The metrics of `module` on a split."""
        return self.measure(predict(module, split), split.targets)


def labelled(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The predictions that have a target, one a row: logits (..., classes), targets (...) -> (N, classes), (N,)."""
    logits_NC, targets_N = logits.flatten(0, -2), targets.flatten()
    known = targets_N != UNLABELLED
    return (logits_NC, targets_N) if bool(known.all()) else (logits_NC[known], targets_N[known])


def loss(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the labelled predictions, in nats.  logits (..., classes), targets (...) -> scalar.

    With `smoothing`, that share of each target's probability is spread evenly over all classes (Szegedy et al. 2016,
    section 7).
    """
    return nn.functional.cross_entropy(*labelled(logits, targets), label_smoothing=smoothing)


@torch.no_grad()  # not inference_mode: a table that the module keeps for later must stay usable in training
def predict(module: nn.Module, inputs: Tensor | Split) -> Tensor:
    """Logits for prepared inputs, or for all of a split, in evaluation mode; the modes of all parts are restored.

    Computed where the module's parameters are, returned on the CPU.
    """
    split = inputs if isinstance(inputs, Split) else Split(inputs, inputs)
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    with evaluation_mode(module):
        return torch.cat([module(batch.to(device)).cpu() for batch in split.batches()])
