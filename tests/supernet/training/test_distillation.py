"""The distillation loss against plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from supernet.training.distillation import soft_cross_entropy


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
