"""Importances of metrics that follow a known function of the choices."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.ranking import rank_agreement
from runner.insight.encoding import INACTIVE, encode, read_answers, units_of
from runner.insight.importances import Judged, judge, marginal_means, spearman
from tests.runner.insight.rows import Row, architectures, measured, share_of


def judged(rows: list[Row], targets: np.ndarray, *, maximize: bool = False) -> Judged:
    return judge(units_of(read_answers(rows)), targets, maximize=maximize)


def test_what_decides_comes_first_and_what_does_nothing_last() -> None:
    rows = architectures(150)
    found = judged(rows, measured(rows, lambda row: -3.0 * row["depth"] - 0.05 * row["width"], noise=0.3))
    names = [each.choice for each in found.importances]
    assert names[0] == "depth"
    assert names[1] == "width"
    assert found.importances[0].share > 0.8
    assert sum(each.share for each in found.importances) == pytest.approx(1.0)
    assert all(each.share < 0.02 for each in found.importances[2:])
    assert found.agreement > 0.9


@pytest.mark.parametrize("maximize", [False, True])
def test_direction_best_worst_and_effect_are_those_of_the_function(maximize: bool) -> None:
    """A metric falls by 0.5 with each unit of width, so the narrowest is best if it is to be large."""
    rows = architectures(200)
    found = judged(rows, measured(rows, lambda row: 100 - 0.5 * row["width"]), maximize=maximize)
    width = next(each for each in found.importances if each.choice == "width")
    assert width.direction == "lowers"
    assert (width.best, width.worst) == ((32, 64) if maximize else (64, 32))
    assert width.effect == pytest.approx(16.0)
    assert width.share > 0.95


def test_a_metric_that_rises_is_said_to_rise() -> None:
    rows = architectures(200)
    found = judged(rows, measured(rows, lambda row: 2.0 * row["patch"]))
    assert found.importances[0].choice == "patch"
    assert found.importances[0].direction == "raises"
    assert (found.importances[0].best, found.importances[0].worst) == (2, 4)


def test_what_first_rises_and_then_falls_has_no_direction() -> None:
    rows = architectures(200)
    found = judged(rows, measured(rows, lambda row: -abs(row["width"] - 48) + 0.01 * row["patch"]))
    assert found.importances[0].choice == "width"
    assert found.importances[0].direction == "mixed"
    assert found.importances[0].worst == 48


def test_a_kind_of_layer_is_not_diluted_among_its_layers() -> None:
    """Each layer decides about a sixth of it, all together about nearly everything."""
    rows = architectures(120)
    found = judged(rows, measured(rows, lambda row: share_of(row, "mixer", "identity"), noise=0.02))
    first = found.importances[0]
    assert (first.choice, first.worst, first.direction) == ("layers.*.mixer", "identity", "mixed")
    assert first.share > 0.9
    assert first.effect == pytest.approx(1.0, abs=0.25)  # of all layers, not of one
    assert [each.choice for each in found.importances].count("layers.*.mixer") == 1


def test_one_layer_that_matters_alone_shows_in_its_kind() -> None:
    rows = architectures(120)
    found = judged(rows, measured(rows, lambda row: 5.0 * (row["layers.0.bits"] == 4)))
    assert found.importances[0].choice == "layers.*.bits"
    assert found.importances[0].share > 0.95
    assert found.importances[0].worst == 4


def test_the_depth_gets_the_credit_for_layers_that_are_not_there() -> None:
    rows = architectures(150)
    found = judged(rows, measured(rows, lambda row: float(row["depth"])))
    assert found.importances[0].choice == "depth"
    assert found.importances[0].share > 0.98


def test_two_choices_that_matter_only_together_are_both_found() -> None:
    rows = architectures(300)
    found = judged(rows, measured(rows, lambda row: float((row["patch"] == 2) == (row["width"] == 32)), noise=0.05))
    assert {each.choice for each in found.importances[:2]} == {"patch", "width"}
    assert min(each.share for each in found.importances[:2]) > 0.2


def test_noise_has_no_agreement() -> None:
    rows = architectures(200)
    assert abs(judged(rows, measured(rows, lambda row: 0.0, noise=1.0)).agreement) < 0.25


def test_the_same_rows_give_the_same_answer() -> None:
    rows = architectures(60)
    targets = measured(rows, lambda row: row["depth"] + row["width"] / 10, noise=1.0)
    assert judged(rows, targets) == judged(rows, targets)


def test_where_nothing_differs_nothing_is_said() -> None:
    rows = architectures(40)
    assert judged(rows, np.full(40, 2.0)) == Judged(agreement=0.0, importances=())
    assert judged([{"depth": 2}] * 40, np.arange(40.0)).importances == ()


def test_values_that_hardly_occur_do_not_become_the_best() -> None:
    rows: list[Row] = [{"width": width} for width in (32, 64) * 20] + [{"width": 16}]
    targets = np.array([3.0, 2.0] * 20 + [0.0])
    (unit,) = units_of(read_answers(rows))
    values, means = marginal_means(unit, targets)
    assert values == (32, 64)
    assert means[0] - means[1] == pytest.approx(1.0)
    few, _ = marginal_means(units_of(read_answers(rows[:2]))[0], targets[:2])
    assert few == (32, 64)  # better than nothing


def test_answers_of_different_types_are_different() -> None:
    (answers,) = read_answers([{"a": 1}, {"a": True}, {"a": 1.0}, {"a": "1"}, {}])
    assert len(answers.values) == 4
    assert answers.values[-1] == "1"
    assert answers.codes[-1] == INACTIVE
    assert not answers.ordered


def test_every_unit_has_columns_and_every_column_one_unit() -> None:
    units = units_of(read_answers(architectures(50)))
    encoded = encode(units)
    assert set(encoded.owners.tolist()) == set(range(len(units)))
    assert encoded.columns.shape == (50, len(encoded.owners))
    assert set(np.unique(encoded.columns).tolist()) == {0.0, 1.0}


def test_rank_correlation_is_the_usual_one() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 9, 50).astype(float), rng.normal(size=50)
    assert spearman(first, second) == pytest.approx(rank_agreement(first.tolist(), second.tolist()).spearman)
    assert spearman(first, np.ones(50)) == 0.0


def test_where_a_choice_does_not_apply_its_usual_answer_stands_in() -> None:
    heads, mixer = read_answers([{"heads": 1, "mixer": "b"}, *[{"heads": 4, "mixer": "z"}] * 3, {}])
    assert heads.filled.tolist() == [0, 1, 1, 1, 1]
    assert mixer.filled.tolist() == [0, 1, 1, 1, 1]
    assert heads.codes[-1] == mixer.codes[-1] == INACTIVE
