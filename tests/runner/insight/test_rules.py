"""Rules about metrics that follow a known function of the choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from runner.insight.encoding import read_answers
from runner.insight.rules import MOST, Condition, Rule, find_rules
from tests.runner.insight.rows import Row, architectures, measured

if TYPE_CHECKING:
    from collections.abc import Sequence


def rules(rows: Sequence[Row], maximized: Sequence[str] = (), **targets: np.ndarray) -> tuple[Rule, ...]:
    return find_rules(read_answers(rows), targets, maximized)


def fulfils(row: Row, condition: Condition) -> bool:
    value = row[condition.choice]
    return {
        "is": value == condition.value,
        "is not": value != condition.value,
        "at most": condition.comparison != "at most" or value <= condition.value,
        "at least": condition.comparison != "at least" or value >= condition.value,
    }[condition.comparison]


def test_a_rule_says_where_a_metric_is_better_and_its_numbers_are_those_of_the_rows() -> None:
    rows = architectures(160)
    error = measured(rows, lambda row: 0.5 - 0.3 * (row["width"] >= 48 and row["patch"] == 2), noise=0.05)
    (rule, *_) = rules(rows, error=error)
    assert {(each.choice, each.comparison, each.value) for each in rule.conditions} == {
        ("width", "at least", 48),
        ("patch", "is", 2),
    }
    inside = np.array([all(fulfils(row, each) for each in rule.conditions) for row in rows])
    assert rule.support == inside.sum()
    assert rule.mean == pytest.approx(error[inside].mean())
    assert rule.rest == pytest.approx(error[~inside].mean())
    assert rule.mean < rule.rest - 0.2


def test_of_a_maximized_metric_larger_is_better() -> None:
    rows = architectures(120)
    accuracy = measured(rows, lambda row: 0.5 + 0.1 * (row["depth"] == 6), noise=0.02)
    (rule, *_) = rules(rows, ["accuracy"], accuracy=accuracy)
    assert rule.conditions == (Condition(choice="depth", comparison="is", value=6),)
    assert rule.mean > rule.rest
    (rule, *_) = rules(rows, error=accuracy)
    assert rule.conditions == (Condition(choice="depth", comparison="at most", value=4),)


def test_words_are_one_of_them_or_not() -> None:
    rows = architectures(160)
    bad = measured(rows, lambda row: float(row["layers.0.mixer"] == "identity"), noise=0.1)
    (rule, *_) = rules(rows, error=bad)
    assert rule.conditions == (Condition(choice="layers.0.mixer", comparison="is not", value="identity"),)
    good = measured(rows, lambda row: -float(row["layers.1.mixer"] == "softmax"), noise=0.1)
    (rule, *_) = rules(rows, error=good)
    assert rule.conditions == (Condition(choice="layers.1.mixer", comparison="is", value="softmax"),)


def test_where_nothing_is_clear_there_is_no_rule() -> None:
    for seed in range(20):
        rows = architectures(100, seed=seed)
        noise = np.random.default_rng(seed).normal(size=100)
        assert rules(rows, error=noise) == ()


def test_few_rows_say_nothing() -> None:
    rows = architectures(20)
    assert rules(rows, error=measured(rows, lambda row: float(row["depth"]))) == ()
    assert rules([], error=np.zeros(0)) == ()
    assert rules(architectures(50), error=np.ones(50)) == ()


def test_a_choice_that_not_every_row_has_takes_no_part() -> None:
    rows = architectures(200)
    metric = measured(rows, lambda row: float(row.get("layers.5.mixer") != "softmax"), noise=0.05)
    assert all(
        not each.choice.startswith(("layers.4", "layers.5"))
        for rule in rules(rows, error=metric)
        for each in rule.conditions
    )


def test_no_more_than_six_and_every_metric_has_its_turn() -> None:
    rows = architectures(200)
    targets = {
        f"m{place}": measured(rows, lambda row, place=place: row["width"] * (place + 1) + 3 * row["depth"], noise=1.0)
        for place in range(6)
    }
    found = rules(rows, **targets)
    assert len(found) == MOST
    assert {rule.metric for rule in found} == set(targets)
    assert all(1 <= len(rule.conditions) <= 3 for rule in found)


def test_rules_of_one_metric_do_not_overlap() -> None:
    rows = architectures(300)
    metric = measured(rows, lambda row: 4.0 * row["width"] + 9.0 * row["depth"] * (row["width"] == 32), noise=2.0)
    found = rules(rows, error=metric)
    for row in rows:
        assert sum(all(fulfils(row, each) for each in rule.conditions) for rule in found) <= 1
