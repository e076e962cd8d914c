"""Whether a study kept its promise: rank correlations, or why there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.front import read_front
from tests.runner.service.studies import create_study, record_model, record_search, start_study

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.store import Repository


def test_three_retrained_points_have_correlations(client: TestClient, digits: Repository) -> None:
    """The knee has 0.0138 and the two others, which scored worse and better before, 0.02 and 0.01."""
    study = digits.study("digits")
    front = read_front(study, digits)
    assert front.knee is not None
    by_error = sorted(front.points, key=lambda point: point.number("error"))
    place = by_error.index(front.knee)
    record_model(digits, study, by_error[place + 1].architecture, 0.02)
    record_model(digits, study, by_error[place - 1].architecture, 0.01)
    found = client.get("/api/v1/studies/digits/trust").json()["agreement"]
    assert found["columns"] == ["objective", "ranked by", "like", "points", "Kendall's tau-b", "Spearman's rho"]
    assert found["rows"] == [["error", "shared weights", "retrained", "3", "1.00", "1.00"]]
    assert "No rank correlation of error (retrained and exported file)" in found["sentences"][0]


def test_fewer_points_have_a_reason_instead(client: TestClient, digits: Repository) -> None:
    found = client.get("/api/v1/studies/digits/trust").json()["agreement"]
    assert "1 point has both numbers, and fewer than 3 say nothing about an order." in found["sentences"][0]
    assert found["rows"] == []


def test_a_study_that_retrained_nothing_says_nothing_of_it(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "early")
    start_study(digits, study)
    record_search(digits, study, 12)
    found = client.get("/api/v1/studies/early/trust").json()
    assert (found["agreement"]["rows"], found["agreement"]["sentences"]) == ([], [])
