"""Perplexity and bits by byte, from their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from supernet.tasks.language import LANGUAGE_METRICS, score_language
from supernet.tasks.task import UNLABELLED, score_logits


def test_a_model_that_knows_nothing_is_as_perplexed_as_there_are_bytes() -> None:
    scores = score_language(torch.zeros(2, 3, 256), torch.randint(256, (2, 3), generator=torch.Generator()))
    assert scores["perplexity"] == pytest.approx(256, rel=1e-5)
    assert scores["bits_per_byte"] == pytest.approx(8, rel=1e-6)


def test_perplexity_is_the_inverse_geometric_mean_of_the_probabilities() -> None:
    logits = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [1 / 3, 1 / 3, 1 / 3]]]).log()
    targets = torch.tensor([[0, 1, UNLABELLED]])
    scores = score_language(logits, targets)
    assert scores["perplexity"] == pytest.approx((0.5 * 0.8) ** -0.5, rel=1e-6)
    assert scores["bits_per_byte"] == pytest.approx(-(math.log2(0.5) + math.log2(0.8)) / 2, rel=1e-6)
    assert {name: scores[name] for name in ("error", "accuracy", "loss")} == score_logits(logits, targets)
    assert set(scores) == set(LANGUAGE_METRICS)
    assert next(iter(LANGUAGE_METRICS)) == "perplexity"


def test_a_hopeless_model_is_infinitely_perplexed() -> None:
    assert score_language(torch.tensor([[0.0, 1e6]]), torch.tensor([0]))["perplexity"] == math.inf
