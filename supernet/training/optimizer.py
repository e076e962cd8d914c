"""Which optimizer trains a model, and at which rate: fused AdamW, whose weight decay is of matrices only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from supernet.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

    from supernet.training.loop import LoopConfig


def optimizer_of(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    """AdamW over the parameters that can be trained.  Raises `TrainingError` where there is none."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise TrainingError("the model has no parameter that can be trained.")
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    others = [parameter for parameter in trained if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, fused=True)


def learning_rate(step: int, config: LoopConfig) -> float:
    """Of a step: linear warm-up from near zero, then half a cosine to zero (Loshchilov & Hutter 2017)."""
    warm = max(1, round(config.steps * config.warmup))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
