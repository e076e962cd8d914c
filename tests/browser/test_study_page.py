"""The page of one study: one selection for every panel, the table beside the charts, live without losing the place."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from runner.front import read_front
from runner.store import ValueRecord
from search_spaces import Architecture, Value
from tests.runner.service.studies import an_evaluation, create_study, predicted, record_search, start_study

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from runner.store import Repository
    from tests.browser.conftest import Watched

DATA_ROWS = "#rows tbody tr[data-place]"


def opened(watched: Watched, path: str = "/studies/digits") -> Page:
    page = watched.page
    page.goto(path)
    expect(page.locator("#content")).to_be_visible()
    expect(page.locator("[aria-busy=true], .skeleton")).to_have_count(0)
    return page


def select_errors(page: Page, most: float) -> None:
    filters = page.locator("#rows-pickers form")
    filters.get_by_label("Metric of the filter").select_option("error")
    filters.get_by_label("At most").fill(str(most))
    filters.get_by_role("button", name="Select").click()


def test_a_filter_of_the_table_is_the_selection_of_the_page_and_stands_in_its_address(
    watched: Watched, repository: Repository
) -> None:
    page = opened(watched)
    records = repository.evaluations(repository.study("digits").id)
    wanted = sum(any(value.metric == "error" and value.value <= 0.03 for value in record.values) for record in records)
    assert 0 < wanted < len(records)
    select_errors(page, 0.03)
    expect(page.locator("#rows-words")).to_contain_text(f"{wanted} rows of {len(records)}")
    expect(page.locator("#selection")).to_contain_text(f"{wanted} rows selected")
    address = page.url
    assert "select=" in address
    page.reload()
    expect(page.locator("#rows-words")).to_contain_text(f"{wanted} rows of {len(records)}")
    page.locator("#selection").get_by_role("button", name="Clear").click()
    expect(page.locator("#rows-words")).to_contain_text(f"{len(records)} rows of {len(records)}")
    assert "select=" not in page.url


def test_the_best_within_a_limit_is_that_of_the_front(watched: Watched, repository: Repository) -> None:
    page = opened(watched)
    points = read_front(repository.study("digits"), repository).points
    limit = sorted(point.number("latency_ms") for point in points)[len(points) // 2]
    best = min((point for point in points if point.number("latency_ms") <= limit), key=lambda p: p.number("error"))
    page.locator("#within").get_by_label("Metric of the limit").select_option("latency_ms")
    page.locator("#within").get_by_label("Limit", exact=True).fill(str(limit))
    page.keyboard.press("Enter")
    page.locator("#within button").click()
    expect(page.locator("#point h3")).to_have_text(best.architecture.digest)
    assert f"point={best.architecture.digest}" in page.url
    page.locator("#within").get_by_label("Limit", exact=True).fill("1e-9")
    page.keyboard.press("Enter")
    expect(page.locator("#within")).to_contain_text("no point of the front keeps it")


def test_the_table_sorts_and_is_saved(watched: Watched, repository: Repository) -> None:
    page = opened(watched)
    front = read_front(repository.study("digits"), repository)
    page.get_by_label("front only").check()
    page.locator("#rows thead").get_by_role("button", name="latency").click()
    fastest = min(front.points, key=lambda point: point.number("latency_ms"))
    expect(page.locator(DATA_ROWS).first).to_contain_text(fastest.architecture.digest)
    page.locator("#rows thead").get_by_role("button", name="latency").click()
    slowest = max(front.points, key=lambda point: point.number("latency_ms"))
    expect(page.locator(DATA_ROWS).first).to_contain_text(slowest.architecture.digest)
    with page.expect_download() as told:
        page.get_by_role("button", name="Save as CSV").click()
    rows = list(csv.DictReader(told.value.path().read_text(encoding="utf-8").splitlines()))
    assert rows[0]["digest"] == slowest.architecture.digest
    assert {row["digest"] for row in rows} == {point.architecture.digest for point in front.points}
    assert float(rows[0]["latency_ms"]) == pytest.approx(slowest.number("latency_ms"))


def test_a_saved_text_is_no_formula(watched: Watched) -> None:
    page = opened(watched)
    made = page.evaluate(
        """async () => {
          const { csv } = await import("/static/study/rows.js");
          const data = { metricNames: ["error"], values: () => [-1.5, NaN], digests: ["=1+1", "a,b"],
            choice: () => ({ values: ["@SUM(A1)", -2], codes: [0, 1] }) };
          return csv(data, [0, 1], ["digest", "error", "mixer"]);
        }"""
    )
    assert made == "digest,error,mixer\r\n'=1+1,-1.5,'@SUM(A1)\r\n\"a,b\",,-2\r\n"


def test_new_rows_come_without_a_reload_and_reset_nothing(
    watched: Watched, repository: Repository, look: tuple[str, int]
) -> None:
    study = create_study(repository, f"grows-{look[0]}")
    start_study(repository, study)
    record_search(repository, study, 12)
    page = opened(watched, f"/studies/{study.id}")
    select_errors(page, 0.9)
    page.get_by_label("log").first.check()
    chosen = page.locator(DATA_ROWS).nth(2).locator("code").inner_text()
    page.locator(DATA_ROWS).nth(2).click()
    expect(page.locator("#point h3")).to_have_text(chosen)
    page.evaluate("scrollTo(0, 400)")
    place = page.evaluate("scrollY")
    repository.add_event(study.id, "stage.progress", {"stage": "search", "done": 12, "total": 120, "detail": ""})
    for index in range(3):
        record_one(repository, study.id, index)
    repository.add_event(study.id, "stage.progress", {"stage": "search", "done": 15, "total": 120, "detail": ""})
    expect(page.locator("#rows-words")).to_contain_text("15 rows of 15")
    expect(page.locator("#point h3")).to_have_text(chosen)
    expect(page.get_by_label("log").first).to_be_checked()
    assert page.evaluate("scrollY") == place
    repository.transition_study(study.id, "running", "interrupted", "Ctrl-C")
    expect(page.locator("#study-title .state")).to_have_text("interrupted")
    expect(page.locator("#study-reason")).to_contain_text("Ctrl-C")


def record_one(repository: Repository, study: str, index: int) -> None:
    architecture = Architecture({"depth": 3, "width": 48, "patch": 4, "seed": 1_000 + index})
    values = [
        ValueRecord(metric="error", value=0.02 + index / 1000, provenance="inherited"),
        predicted(0.05 + index / 100),
        ValueRecord(metric="model_bytes", value=30_000.0, provenance="computed"),
    ]
    repository.record_evaluation(study, an_evaluation(architecture, *values))


def test_what_no_question_has_room_for_is_not_asked_for_again_and_again(
    watched: Watched, repository: Repository, look: tuple[str, int]
) -> None:
    study = create_study(repository, f"many-{look[0]}")
    start_study(repository, study)
    answers: dict[str, Value] = {f"choice{number}": number for number in range(60)} | {"with,comma": 1}
    values = [
        ValueRecord(metric=metric, value=0.5, provenance="inherited")
        for metric in ("error", "latency_ms", "model_bytes")
    ]
    repository.record_evaluation(study.id, an_evaluation(Architecture(answers), *values))
    repository.transition_study(study.id, "running", "interrupted", "Ctrl-C")
    asked: list[str] = []
    page = watched.page
    page.on("request", lambda request: asked.append(request.url) if "/columns" in request.url else None)
    columns = ",".join(["error", "with", *(f"choice{number}" for number in range(20, 60))])
    opened(watched, f"/studies/{study.id}?columns={columns}&colour=with%2Ccomma")
    expect(page.locator("#rows thead")).to_contain_text("choice59")
    page.wait_for_timeout(1_000)  # a loop would go on
    assert len(asked) <= 4
    page.locator("#scatter-pickers select").nth(2).select_option("choice3")
    expect(page.locator("#scatter .chart-legend")).to_contain_text("choice3")


def test_notes_that_somebody_else_changed_are_not_overwritten_unasked(
    watched: Watched, repository: Repository, look: tuple[str, int]
) -> None:
    study = create_study(repository, f"noted-{look[0]}")
    page = opened(watched, f"/studies/{study.id}")
    page.get_by_label("Notes", exact=True).fill("mine")
    page.get_by_label("Tags", exact=True).fill("a, b")
    repository.edit_study(study.id, study.revision, notes="theirs")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#notes")).to_contain_text("Somebody else has changed these meanwhile")
    assert repository.study(study.id).notes == "theirs"
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#notes")).to_contain_text("Saved")
    kept = repository.study(study.id)
    assert (kept.notes, kept.tags) == ("mine", ("a", "b"))


def test_a_panel_that_fails_leaves_the_others_and_tries_again(watched: Watched) -> None:
    page = watched.page

    def refuse(route: Route) -> None:
        route.fulfill(status=500, body="{}", content_type="application/problem+json")

    page.route("**/importances", refuse)
    opened(watched)
    panel = page.locator("#matters-panel")
    expect(panel.get_by_role("alert")).to_be_visible()
    expect(page.locator("#course-panel svg, #course-panel canvas").first).to_be_visible()
    page.unroute("**/importances")
    panel.get_by_role("button", name="Try again").click()
    expect(panel.get_by_role("alert")).to_have_count(0)
    expect(panel.get_by_label("for")).to_be_visible()


def test_on_paper_every_row_and_every_chart_is_there_in_light_colours(watched: Watched, repository: Repository) -> None:
    page = opened(watched)
    page.emulate_media(color_scheme="dark")
    records = repository.evaluations(repository.study("digits").id)
    seen = page.locator(DATA_ROWS).count()
    assert 0 < seen < len(records)  # the test would show nothing where all rows are drawn anyhow
    page.evaluate(
        """() => addEventListener("beforeprint", () => {
          const wide = [...document.querySelectorAll("canvas, .chart svg, table.rows")]
            .filter((each) => each.getBoundingClientRect().right > document.body.getBoundingClientRect().right + 1);
          const ink = getComputedStyle(document.body).color.match(/[0-9]+/g).map(Number);
          window.printed = { rows: document.querySelectorAll("#rows tbody tr[data-place]").length,
            space: document.querySelectorAll("#rows tbody tr[aria-hidden]").length, wide: wide.length, ink };
        })"""
    )
    page.emulate_media(color_scheme="dark", media="print")
    page.pdf()
    printed = page.evaluate("window.printed")
    assert (printed["rows"], printed["space"], printed["wide"]) == (min(len(records), 200), 0, 0)
    assert max(printed["ink"]) < 100
    page.emulate_media(color_scheme="dark", media="screen")
    expect(page.locator(DATA_ROWS)).to_have_count(seen)
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_a_study_that_is_not_there_says_so(watched: Watched) -> None:
    answer = watched.page.goto("/studies/nobody")
    assert answer is not None
    assert answer.status == 404
    expect(watched.page.get_by_role("heading")).to_be_visible()
