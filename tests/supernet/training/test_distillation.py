"""The distillation loss against plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from supernet.tasks.task import UNLABELLED
from supernet.training.distillation import DISTILLATION_SHARE, soft_cross_entropy, taught_loss


def naive(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    total = 0.0
    for student_row, teacher_row in zip(logits.tolist(), teacher.tolist(), strict=True):
        student = [math.exp(value / temperature) for value in student_row]
        taught = [math.exp(value / temperature) for value in teacher_row]
        for mine, its in zip(student, taught, strict=True):
            total -= its / sum(taught) * math.log(mine / sum(student))
    return temperature**2 * total / len(logits)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_equals_a_naive_loop(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, teacher = (torch.randn(5, 7, generator=generator, dtype=torch.float64) * 3 for _ in range(2))
    actual = soft_cross_entropy(logits, teacher, temperature)
    assert float(actual) == pytest.approx(naive(logits, teacher, temperature), rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradient_is_the_difference_of_probabilities(temperature: float) -> None:
    """d/dz_i = T (p_i - q_i) / batch (Hinton et al. 2015, equation 2, times the factor T^2)."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    soft_cross_entropy(logits, teacher, temperature).backward()
    difference = (logits / temperature).softmax(-1) - (teacher / temperature).softmax(-1)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, (temperature * difference / 4).detach())
    assert teacher.grad is None


def test_large_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    assert float(soft_cross_entropy(logits, logits)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_labels_and_teacher_share_the_loss_and_only_labels_are_smoothed(smoothing: float) -> None:
    """Smoothed targets are (1 - s) onehot + s / classes (Szegedy et al. 2016, section 7)."""
    generator = torch.Generator().manual_seed(2)
    logits, taught = (torch.randn(4, 2, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    targets = torch.randint(5, (4, 2), generator=generator)
    targets[1, 0] = targets[3, 1] = UNLABELLED
    rows = [(row, column) for row in range(4) for column in range(2) if targets[row, column] != UNLABELLED]
    labels = 0.0
    for row, column in rows:
        target = torch.full((5,), smoothing / 5, dtype=torch.float64)
        target[targets[row, column]] += 1 - smoothing
        labels -= float((target * logits[row, column].log_softmax(-1)).sum()) / len(rows)
    picked = [torch.stack([source[row, column] for row, column in rows]) for source in (logits, taught)]
    imitation = naive(*picked, 1.0)
    assert float(taught_loss(logits, targets, None, smoothing)) == pytest.approx(labels, rel=1e-12)
    both = float(taught_loss(logits, targets, taught, smoothing))
    assert both == pytest.approx((1 - DISTILLATION_SHARE) * labels + DISTILLATION_SHARE * imitation, rel=1e-12)
