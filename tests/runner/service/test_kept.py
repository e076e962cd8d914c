"""The study's page on its promise: rank correlations, or why there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.front import read_front
from tests.runner.service.pages import Page
from tests.runner.service.studies import create_study, record_model, record_search, start_study

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.store import Repository


def test_three_retrained_points_have_correlations_on_the_page(client: TestClient, digits: Repository) -> None:
    """The knee has 0.0138 and the two others, which scored worse and better before, 0.02 and 0.01."""
    study = digits.study("digits")
    front = read_front(study, digits)
    assert front.knee is not None
    by_error = sorted(front.points, key=lambda point: point.number("error"))
    place = by_error.index(front.knee)
    record_model(digits, study, by_error[place + 1].architecture, 0.02)
    record_model(digits, study, by_error[place - 1].architecture, 0.01)
    page = Page(client.get("/studies/digits").text)
    assert "Is the promise kept?" in page.words
    assert "objective ranked by like points Kendall's tau-b Spearman's rho" in page.words
    assert "error shared weights retrained 3 1.00 1.00" in page.words
    assert "No rank correlation of error (retrained and exported file)" in page.words


def test_fewer_points_have_a_reason_instead(client: TestClient, digits: Repository) -> None:
    page = Page(client.get("/studies/digits").text)
    assert "Is the promise kept?" in page.words
    assert "1 point has both numbers, and fewer than 3 say nothing about an order." in page.words
    assert "Kendall's" not in page.words


def test_a_study_that_retrained_nothing_says_nothing_of_it(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "early")
    start_study(digits, study)
    record_search(digits, study, 12)
    assert "promise" not in Page(client.get("/studies/early").text).words
