"""Losses that make one network imitate another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def soft_cross_entropy(logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean cross-entropy with the teacher's probabilities as targets, in nats, times temperature squared.

    Both (batch, classes) -> scalar; no gradient reaches the teacher (Hinton et al. 2015, section 2, whose
    gradients keep their scale over temperatures through the factor).
    """
    targets = (teacher_logits.detach() / temperature).softmax(-1)
    return -(targets * (logits / temperature).log_softmax(-1)).sum(-1).mean() * temperature**2
