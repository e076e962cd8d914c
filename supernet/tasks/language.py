"""How well a model of language predicts: perplexity and bits, beside what every classifier is measured by."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from supernet.tasks.task import score_logits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from supernet.tasks.task import Goal

LANGUAGE_METRICS: Mapping[str, Goal] = MappingProxyType(
    {
        "perplexity": "minimize",
        "bits_per_byte": "minimize",
        "loss": "minimize",
        "error": "minimize",
        "accuracy": "maximize",
    }
)


def score_language(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """`LANGUAGE_METRICS` of predictions of bytes: logits (..., classes), targets (...).

    Perplexity is the exponential of the mean loss over all labelled bytes, infinite where that is too large for a
    float; bits are the loss in base 2.
    """
    scores = score_logits(logits, targets)
    nats = scores["loss"]
    return {
        "perplexity": float(torch.tensor(nats, dtype=torch.float64).exp()),
        "bits_per_byte": nats / math.log(2),
    } | scores
