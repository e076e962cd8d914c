"""When a training counts as collapsed."""

from __future__ import annotations

import math

import pytest
import torch

from supernet.tasks.task import UNLABELLED
from supernet.training.collapse import PATIENCE, RATE_CUT, CollapseRule, Rollback, chance_of_wrong, share_of_wrong

RULE = CollapseRule(chance=0.8)  # learnt below 0.6, lost above 0.76


def checks(*wrong: float, name: str = "largest") -> list[dict[str, float]]:
    return [{name: value} for value in wrong]


@pytest.mark.parametrize(
    ("wrong", "fine", "collapsed"),
    [
        ([], True, False),
        ([0.8, 0.8, 0.8, 0.8, 0.8], True, False),  # never learnt: a hard task, not a collapse
        ([0.8, 0.61, 0.8, 0.8, 0.8], True, False),  # hardly learnt
        ([0.8, 0.3, 0.7, 0.7, 0.7, 0.7], True, False),  # worse, but far from lost
        ([0.8, 0.3, 0.8], False, False),  # may be a spike
        ([0.8, 0.3, 0.8, 0.8], False, False),
        ([0.8, 0.3, 0.8, 0.8, 0.4], True, False),  # it was one
        ([0.8, 0.3, 0.8, 0.8, 0.4, 0.8, 0.8], False, False),  # counted anew
        ([0.8, 0.3, 0.8, 0.77, 0.8], False, True),
        ([0.8, 0.3, 1.0, 1.0, 1.0], False, True),
    ],
)
def test_lost_at_several_checks_in_a_row(wrong: list[float], fine: bool, collapsed: bool) -> None:
    assert PATIENCE == 3
    assert RULE.fine(checks(*wrong)) == fine
    assert (RULE.verdict(checks(*wrong), last=False) is not None) == collapsed


def test_the_verdict_names_the_subnet_and_what_it_lost() -> None:
    both = [{"smallest": 0.7, "largest": 0.3}] + [{"smallest": 0.7, "largest": 0.79}] * 3
    verdict = RULE.verdict(both, last=False)
    assert (
        verdict == "the largest subnet, which had 30% of its predictions wrong, is back at 79%, no better than a guess"
    )


def test_at_the_last_check_one_is_enough() -> None:
    assert RULE.verdict(checks(0.3, 0.8), last=False) is None
    assert RULE.verdict(checks(0.3, 0.8), last=True) is not None
    assert RULE.verdict(checks(0.3, 0.5), last=True) is None
    assert RULE.verdict([], last=True) is None


def test_checks_at_which_a_subnet_was_not_judged_are_left_out() -> None:
    judged_late = [{"largest": 0.2}, {"largest": 0.2}, {"largest": 0.2, "smallest": 0.8}]
    assert RULE.fine(judged_late)
    gaps = [{"smallest": 0.2}, {}, {"smallest": 0.8}, {}, {"smallest": 0.8}, {"smallest": 0.8}]
    assert RULE.verdict(gaps, last=False) is not None


def test_what_few_predictions_show_by_luck_is_no_collapse() -> None:
    """One error more of a hundred, where only two are of the rare class; a coin thrown twenty times."""
    rare = CollapseRule.of(torch.tensor([1] * 2 + [0] * 98))
    assert rare.chance == pytest.approx(0.02)
    assert rare.predictions == 100
    assert rare.verdict(checks(0.01, 0.02, 0.02, 0.02), last=True) is None
    coin = CollapseRule.of(torch.tensor([0, 1] * 10 + [UNLABELLED] * 1000))
    assert coin.verdict(checks(0.35, 0.5, 0.55, 0.6), last=True) is None
    assert coin.verdict(checks(0.05, 0.5, 0.55, 0.6), last=False) is not None


def test_a_task_with_one_class_is_never_lost() -> None:
    assert CollapseRule(chance=0.0).verdict(checks(0.0, 0.0, 1.0, 1.0, 1.0), last=True) is None


def test_shares_of_wrong_predictions() -> None:
    logits = torch.tensor([[[2.0, 1.0, 0.0], [0.0, 1.0, 3.0]], [[0.0, 5.0, 1.0], [math.nan, 9.0, 0.0]]])
    targets = torch.tensor([[0, 1], [UNLABELLED, 1]])
    assert share_of_wrong(logits, targets) == pytest.approx(2 / 3)  # the second, and the one that is not a number
    assert share_of_wrong(torch.tensor([[-math.inf, 0.0]]), torch.tensor([1])) == 0
    assert chance_of_wrong(torch.tensor([[0, 2], [2, UNLABELLED]])) == pytest.approx(1 / 3)
    assert chance_of_wrong(torch.tensor([1, 1])) == 0


def test_a_rollback_travels_as_plain_data() -> None:
    rollback = Rollback(2, found_after=600, back_to=400, reason="the loss became nan")
    assert Rollback.from_json(rollback.to_json()) == rollback
    assert rollback.to_json()["rate_factor"] == rollback.rate_factor == RATE_CUT**2
    assert str(rollback) == "the loss became nan after step 600: back to step 400"
