"""The report: what it makes of scores, and that its JSON says the same."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime

import pytest

from predictors.ranking import rank_agreement
from runner.fidelity.report import COST, EVENT, INHERITED, RETRAINED, Compared, newest_report
from runner.fidelity.words import sentences, table_rows
from runner.store.records import EventRecord
from tests.runner.fidelity.reports import report, scores


def one(index: int, inherited: float | None, *alone: float | None) -> Compared:
    return Compared(
        digest=f"{index:012x}", cost=float(index), inherited=inherited, retrained=None, exported=None, alone=alone
    )


def event(payload: dict[str, object], kind: str = EVENT, sequence: int = 1) -> EventRecord:
    return EventRecord(
        study_id="0",
        sequence=sequence,
        number=sequence,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        kind=kind,
        payload=payload,
    )


def test_the_numbers_are_those_of_the_scores() -> None:
    made = report()
    first, second = (
        rank_agreement([a.inherited for a in made.architectures], [a.alone[seed] for a in made.architectures])
        for seed in (0, 1)
    )
    inherited = made.comparisons[INHERITED]
    assert inherited.kendall.value == pytest.approx((first.kendall + second.kendall) / 2)
    assert inherited.spearman.value == pytest.approx((first.spearman + second.spearman) / 2)
    between = rank_agreement([a.alone[0] for a in made.architectures], [a.alone[1] for a in made.architectures])
    assert made.ceiling is not None
    assert made.ceiling.kendall.value == pytest.approx(between.kendall)
    assert inherited.share is not None
    assert inherited.share.value == pytest.approx(inherited.kendall.value / between.kendall)
    assert made.comparisons[COST].kendall.value > 0.5  # the larger ones are better here
    assert RETRAINED not in made.comparisons


def test_what_is_better_when_larger_is_turned_around() -> None:
    turned = [
        dataclasses.replace(a, inherited=1 - a.inherited, alone=tuple(1 - s for s in a.alone if s is not None))
        for a in scores()
        if a.inherited is not None
    ]
    made, mirrored = report(), report(turned, metric="accuracy", goal="maximize")
    assert mirrored.comparisons[INHERITED].kendall == made.comparisons[INHERITED].kendall
    assert mirrored.comparisons[INHERITED].regret == pytest.approx(made.comparisons[INHERITED].regret)
    assert {a.digest for a in mirrored.chosen()} == {a.digest for a in made.chosen()}


def test_the_order_of_the_architectures_does_not_matter() -> None:
    assert report(scores()[::-1]).to_json() == report().to_json()


def test_the_json_says_the_same() -> None:
    unfinished = [one(0, 0.5, 0.4, None), one(1, None, 0.2, 0.3), one(2, 0.1, None, None), one(3, 0.2, 0.2, 0.1)]
    for made in (report(), report(unfinished, done=4, failed=1), report([one(0, None, None)])):
        data = json.loads(json.dumps(made.to_json(), allow_nan=False))
        again = newest_report([event({}), event(data, sequence=2), event({}, kind="train.health", sequence=3)])
        assert again is not None
        assert again.to_json() == data
        assert sentences(again) == sentences(made)
        assert table_rows(again) == table_rows(made)


@pytest.mark.parametrize("payload", [{}, {"metric": "error"}, {**report().to_json(), "new": 1}])
def test_a_report_of_another_version_is_none(payload: dict[str, object]) -> None:
    assert newest_report([event(payload)]) is None


def test_near_the_knee_are_those_of_about_its_size() -> None:
    near = report(knee_cost=80_000.0).near_knee
    assert near is not None
    assert near.count == 12
    assert near.cheapest < 80_000 < near.dearest
    assert near.dearest - near.cheapest == 11 * 5_000
    end = report(knee_cost=10.0).near_knee
    assert end is not None
    assert end.cheapest == 15_000
    assert report(knee_cost=None).near_knee is None
    assert report(scores(15)).near_knee is None


def test_the_chosen_share_the_best_score() -> None:
    made = report([one(0, 0.1, 0.5), one(1, 0.1, 0.2), one(2, 0.3, 0.1), one(3, 0.0, None)])
    assert {a.digest for a in made.chosen()} == {one(0, 0, 0).digest, one(1, 0, 0).digest}


def test_the_words_say_what_is_there() -> None:
    said = " ".join(sentences(report()))
    assert (
        "40 of 40 architectures, spread over their parameters, trained alone from fresh weights for 400 steps" in said
    )
    assert "(seeds 1, 2)" in said
    assert "of this ceiling, shared weights reach" in said
    assert "about as many parameters as the knee" in said
    assert "failed" not in said
    assert "have ended" not in said


def test_the_words_say_what_is_missing() -> None:
    few = [one(0, 0.5, 0.4, None), one(1, 0.2, 0.2, 0.3), one(2, 0.1, None, None)]
    said = " ".join(sentences(report(few, done=3, failed=1)))
    assert "3 of 6 trainings have ended; the same command goes on" in said
    assert "1 training failed for good" in said
    assert "Fewer than three architectures have both scores" in said


def test_one_seed_has_no_ceiling_and_constant_scores_no_rank() -> None:
    said = " ".join(sentences(report([one(index, 0.5, float(index)) for index in range(6)])))
    assert "No ceiling is known" in said
    assert "tau-b undefined" in said
    assert "100% of the pairs have the same score with shared weights" in said


def test_choosing_blindly_is_the_mean() -> None:
    made = report([one(0, 0.1, 0.5), one(1, 0.2, 0.2), one(2, 0.3, 0.2)])
    assert made.random_regret == pytest.approx(0.1)
    assert math.isclose(made.comparisons[INHERITED].regret, 0.3)
