"""Losses that make one network imitate another, alone or beside the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from supernet.tasks.task import labelled
from supernet.tasks.task import loss as task_loss

if TYPE_CHECKING:
    from torch import Tensor

DISTILLATION_SHARE = 0.5  # of the loss of who has a teacher; the labels have the other half

Distillation = Literal["inplace", "labels"]
"""inplace: the first subnet of a step learns from the labels, the others from it.  labels: all from the labels.
Where there is a teacher, half of what is learnt from labels is learnt from the teacher."""

Teacher = Callable[["Tensor"], "Tensor"]
"""Logits for inputs: any module, or a model in a file (`teacher.OnnxTeacher`)."""


def taught_loss(logits: Tensor, targets: Tensor, taught: Tensor | None, smoothing: float = 0.0) -> Tensor:
    """The loss of the labels, smoothed where that is asked for; with a teacher's logits half of it, half imitation.

    logits and taught (..., classes), targets (...) -> scalar; only labelled predictions are imitated.
    """
    total = task_loss(logits, targets, smoothing)
    if taught is None:
        return total
    imitation = soft_cross_entropy(labelled(logits, targets)[0], labelled(taught, targets)[0])
    return (1 - DISTILLATION_SHARE) * total + DISTILLATION_SHARE * imitation


def soft_cross_entropy(logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean cross-entropy with the teacher's probabilities as targets, in nats, times temperature squared.

    Both (batch, classes) -> scalar; no gradient reaches the teacher (Hinton et al. 2015, section 2, whose
    gradients keep their scale over temperatures through the factor).
    """
    targets = (teacher_logits.detach() / temperature).softmax(-1)
    return -(targets * (logits / temperature).log_softmax(-1)).sum(-1).mean() * temperature**2
