"""What a training step computes at a time: a batch, or the parts of one that gradients are accumulated over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from supernet.tasks.task import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step computes at a time: the batch, or one of the parts that gradients are accumulated over."""

    step: int  # from 0
    inputs: Tensor
    targets: Tensor
    start: int = 0  # its first row's place in the whole batch
    share: float = 1.0  # of the whole batch's labelled predictions: its loss counts for this much

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of this batch's mean loss, as far as it counts in the whole batch."""
        torch.autograd.backward(loss * self.share)

    def on(self, device: torch.device) -> Batch:
        """The same on a device."""
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))


def divided(
    step: int, inputs: Tensor, targets: Tensor, parts: int, *, rank: int = 0, ranks: int = 1
) -> Iterator[Batch]:
    """The rows of a rank in `parts` of nearly equal size, at most one for each row.

    Parts without any label are left out; a rank whose rows have none has no part.  The shares are those of the whole
    batch's labelled predictions, so that gradients add up to those of the whole batch over all parts of all ranks:
    exactly, but for rounding, where rows are computed independently of each other (batch statistics are each part's
    own).
    """
    labels = int((targets != UNLABELLED).sum()) if parts * ranks > 1 else 0
    if labels == 0:  # also where there is nothing to learn from: the loss will say so
        yield Batch(step=step, inputs=inputs, targets=targets)
        return
    start = sum(map(len, inputs.tensor_split(ranks)[:rank]))
    inputs, targets = inputs.tensor_split(ranks)[rank], targets.tensor_split(ranks)[rank]
    count = max(1, min(parts, len(inputs)))
    for some, wanted in zip(inputs.tensor_split(count), targets.tensor_split(count), strict=True):
        known = int((wanted != UNLABELLED).sum())
        if known > 0:
            yield Batch(step=step, inputs=some, targets=wanted, start=start, share=known / labels)
        start += len(some)
