"""Whether the ranking by one kind of number survives the next, against correlations worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from runner.agreement import Agreement, agreements, sentences, table_rows
from runner.front import EXPORTED, RETRAINED, Front, compute_front
from tests.runner.test_front import record, value

if TYPE_CHECKING:
    from runner.store.records import EvaluationRecord, Provenance

GOALS = {"error": "minimize", "latency_ms": "minimize", "model_bytes": "minimize"}


def front_of(
    inherited: Sequence[float],
    retrained: Sequence[float],
    exported: Sequence[float] = (),
    latencies: Sequence[tuple[float, Provenance]] = (),
) -> Front:
    """Point n has the n-th number of each kind, as far as there is one; a file takes a tenth of its latency."""
    rows: list[EvaluationRecord] = []
    for number, error in enumerate(inherited):
        latency, provenance = latencies[number] if number < len(latencies) else (1.0, "inherited")
        sizes = value("latency_ms", latency, provenance), value("model_bytes", 100.0 - number, "computed")
        rows.append(record(number, value("error", error), *sizes))
        if number < len(retrained):
            rows.append(record(number, value("error", retrained[number], "retrained"), fidelity=RETRAINED))
        if number < len(exported):
            found = value("error", exported[number], "exported"), value("latency_ms", latency / 10, "exported")
            rows.append(record(number, *found, fidelity=EXPORTED))
    return compute_front(rows, GOALS, {})


def test_the_correlations_are_those_worked_out_by_hand() -> None:
    """One of six pairs is swapped: tau is (5 - 1) / 6, rho is 1 - 6 * (1 + 1) / (4 * 15)."""
    found = agreements(front_of((0.1, 0.2, 0.3, 0.4), (0.01, 0.03, 0.02, 0.04)))
    (one,) = found
    assert (one.metric, one.before, one.after, one.points, one.why_not) == ("error", "inherited", "retrained", 4, "")
    assert one.kendall == pytest.approx(4 / 6)
    assert one.spearman == pytest.approx(0.8)
    assert table_rows(found) == (("error", "shared weights", "retrained", "4", "0.67", "0.80"),)
    assert sentences(found) == ()


def test_a_ranking_that_turns_around_is_minus_one() -> None:
    (one,) = agreements(front_of((0.1, 0.2, 0.3), (0.3, 0.2, 0.1)))
    assert (one.kendall, one.spearman) == (pytest.approx(-1), pytest.approx(-1))


def test_each_kind_is_compared_with_the_one_before_that_there_is() -> None:
    """No latency is measured after retraining, and nobody measures bytes: they follow from the structure."""
    latencies: list[tuple[float, Provenance]] = [(1.0, "inherited"), (2.0, "inherited"), (3.0, "inherited")]
    front = front_of((0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3), (0.1, 0.3, 0.2), latencies)
    assert [(one.metric, one.before, one.after, one.points) for one in agreements(front)] == [
        ("error", "inherited", "retrained", 3),
        ("error", "retrained", "exported", 3),
        ("latency_ms", "inherited", "exported", 3),
    ]
    tau = [one.kendall for one in agreements(front)]
    assert tau == [pytest.approx(1), pytest.approx(1 / 3), pytest.approx(1)]


def test_points_off_the_front_count_and_predictions_do_not() -> None:
    predicted: list[tuple[float, Provenance]] = [(1.0, "inherited"), (1.0, "inherited"), (1.0, "predicted")]
    front = front_of((0.1, 0.2, 0.3), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3), predicted)
    sized = {one.metric: one.points for one in agreements(front)}
    assert sized == {"error": 3, "latency_ms": 2}
    bounded = compute_front(
        [record(n, value("error", n / 10)) for n in (1, 2, 3)]
        + [record(n, value("error", n / 10, "retrained"), fidelity=RETRAINED) for n in (1, 2, 3)],
        {"error": "minimize"},
        {},
    )
    assert len(bounded.points) == 1
    assert agreements(bounded)[0].points == 3


@pytest.mark.parametrize(
    ("retrained", "words"),
    [
        ((0.1,), "1 point has both numbers, and fewer than 3 say nothing about an order."),
        ((0.1, 0.2), "2 points have both numbers, and fewer than 3"),
        ((0.1, 0.1, 0.1), "the 3 points share one number of one of the two kinds"),
    ],
)
def test_where_there_is_no_correlation_the_reason_is_told(retrained: Sequence[float], words: str) -> None:
    found = agreements(front_of((0.1, 0.2, 0.3), retrained))
    assert [(one.kendall, one.spearman) for one in found] == [(None, None)]
    assert table_rows(found) == ()
    (sentence,) = sentences(found)
    assert sentence.startswith("No rank correlation of error (shared weights and retrained): ")
    assert words in sentence


def test_pairs_with_the_same_reason_share_a_sentence() -> None:
    found = agreements(front_of((0.1, 0.2), (0.1,), (0.1,)))
    (sentence,) = sentences(found)
    assert "error (retrained and exported file), latency_ms (shared weights and exported file): 1 point" in sentence


def test_nothing_is_compared_before_anything_is_retrained() -> None:
    assert agreements(front_of((0.1, 0.2, 0.3), ())) == ()
    assert agreements(compute_front([], GOALS, {})) == ()


def test_the_record_takes_it() -> None:
    found = agreements(front_of((0.1, 0.2, 0.3), (0.1, 0.1, 0.1)))
    plain = json.loads(json.dumps([one.to_json() for one in found], allow_nan=False))
    assert tuple(Agreement(**one) for one in plain) == found
