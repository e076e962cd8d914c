"""The equal error rate: against a slow sweep of thresholds, and where it is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from supernet.tasks.error_rates import equal_error_rate
from supernet.tasks.task import UNLABELLED


def slow_equal_error_rate(logits: Tensor, targets: Tensor) -> float:
    """Every threshold in turn, from above all scores down; the crossing of two straight lines between two of them."""
    claims = [
        (float(logits[n, c]), int(targets[n]) == c) for n in range(logits.shape[0]) for c in range(logits.shape[1])
    ]
    true = [score for score, genuine in claims if genuine]
    false = [score for score, genuine in claims if not genuine]
    before = (1.0, 0.0)
    for threshold in sorted({score for score, _ in claims}, reverse=True):
        refused = sum(score < threshold for score in true) / len(true)
        passed = sum(score >= threshold for score in false) / len(false)
        if passed >= refused:
            gap, excess = before[0] - before[1], passed - refused
            return before[1] + (passed - before[1]) * gap / (gap + excess)
        before = (refused, passed)
    raise AssertionError("the lowest threshold accepts everything")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ties", [False, True])
def test_it_equals_the_slow_sweep(seed: int, ties: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    classes = 2 + seed % 4
    targets = torch.randint(0, classes, (17,), generator=generator)
    logits = torch.randn(17, classes, generator=generator) + torch.nn.functional.one_hot(targets, classes) * (seed / 6)
    if ties:
        logits = logits.round()
    assert equal_error_rate(logits, targets) == pytest.approx(slow_equal_error_rate(logits, targets), abs=1e-6)


def test_a_perfect_classifier_a_reversed_one_and_a_blind_one() -> None:
    targets = torch.arange(60) % 5
    perfect = torch.nn.functional.one_hot(targets, 5).float()
    assert equal_error_rate(perfect, targets) == 0
    assert equal_error_rate(-perfect, targets) == 1
    assert equal_error_rate(torch.zeros(60, 5), targets) == 0.5
    random = torch.randn(4_000, 5, generator=torch.Generator().manual_seed(0))
    # 4,000 true claims: the standard deviation is below 0.01.
    assert equal_error_rate(random, torch.arange(4_000) % 5) == pytest.approx(0.5, abs=0.03)


def test_one_threshold_holds_for_all_samples() -> None:
    """Each sample's own class scores best, yet the second sample's claims all score above the first one's."""
    logits = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    targets = torch.tensor([0, 1])
    assert equal_error_rate(logits, targets) == 0.5
    assert equal_error_rate(logits - logits.mean(1, keepdim=True), targets) == 0


def test_it_depends_on_the_order_of_the_scores_alone() -> None:
    logits = torch.randn(30, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    targets = torch.arange(30) % 4
    assert equal_error_rate((logits * 3).exp() + 7, targets) == equal_error_rate(logits, targets)


def test_positions_without_a_target_do_not_count_and_nan_is_not_hidden() -> None:
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[0, UNLABELLED, 2], [UNLABELLED, 3, 1]])
    known = targets != UNLABELLED
    assert equal_error_rate(logits, targets) == equal_error_rate(logits[known], targets[known])
    logits[0, 0, 1] = float("nan")
    assert math.isnan(equal_error_rate(logits, targets))
