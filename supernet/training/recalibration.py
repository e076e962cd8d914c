"""Running statistics of a subnet, estimated anew from data.

Shared weights keep none: every architecture has its own (Yu & Huang 2019, section 3.3).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch.nn.modules.batchnorm import _NormBase

from supernet.errors import TrainingError
from supernet.modes import evaluation_mode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn


def keeps_statistics(module: nn.Module) -> bool:
    """Whether any layer normalises by running statistics."""
    return any(_has_statistics(child) for child in module.modules())


@torch.no_grad()
def recalibrate(module: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace all running statistics by their plain average over `batches`; modes and momenta are restored.

    Only the normalisation layers run in training mode, so that dropout does not disturb what they see.
    Raises `TrainingError` where there is no batch: the statistics would be those of no data at all.
    """
    norms = [child for child in module.modules() if _has_statistics(child)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    calls: Counter[nn.Module] = Counter()

    def average(norm: nn.Module, _: object) -> None:
        calls[norm] += 1
        norm.momentum = 1 / calls[norm]  # type: ignore[assignment]  # the average of all calls so far

    with evaluation_mode(module):
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        # Not `momentum = None`, which asks for the same average: instance normalisation takes that for 0.
        hooks = [norm.register_forward_pre_hook(average) for norm in norms]
        try:
            for batch in batches:
                module(batch)
        finally:
            for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
                hook.remove()
                norm.momentum = momentum
    if not calls:
        raise TrainingError("running statistics cannot be recalibrated from no batches; give at least one.")


def _has_statistics(module: nn.Module) -> TypeGuard[_NormBase]:
    return isinstance(module, _NormBase) and module.track_running_stats
