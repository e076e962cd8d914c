"""Samples on which a pretrained model is looked at: to see what its units do, and that it still computes the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supernet.errors import PretrainedError
from supernet.tasks.task import loss as task_loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Batches of inputs, and where gradients are wanted their targets and `loss(outputs, targets)`."""

    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...] = ()
    loss: Callable[[Tensor, Tensor], Tensor] = task_loss

    def __post_init__(self) -> None:
        if not self.inputs:
            raise PretrainedError("calibration needs at least one batch of inputs.")
        if self.targets and len(self.targets) != len(self.inputs):
            raise PretrainedError(
                f"calibration has {len(self.inputs)} batches of inputs and {len(self.targets)} of targets; give one of "
                "targets for each, or none."
            )

    def double(self) -> Calibration:
        """With floating-point inputs in double precision."""
        inputs = tuple(batch.double() if batch.is_floating_point() else batch for batch in self.inputs)
        return replace(self, inputs=inputs)
