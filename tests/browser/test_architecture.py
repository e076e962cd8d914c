"""The page of one architecture: the drawing of every family, its legend, its numbers, its neighbours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.architectures import HOSTILE, all_architectures, record_families, record_group, values
from tests.runner.service.studies import an_evaluation, create_study, start_study

if TYPE_CHECKING:
    from pathlib import Path

    from runner.store import Repository, StudyRecord
    from tests.browser.conftest import Watched

GROUPS = all_architectures()
DRAWING = "svg.architecture"
# Draws each of the documents, alone in a page of this width; what every drawing and every legend holds.
DRAW = """
async (documents) => {
  const { drawArchitectures } = await import("/static/architecture/drawing.js");
  const { legendOf } = await import("/static/architecture/legend.js");
  const { rowsOf } = await import("/static/architecture/outline.js");
  const host = document.getElementById("main");
  return documents.map((found) => {
    const [{ element, marks }] = drawArchitectures(rowsOf([found]), 1, { label: () => "drawing" });
    host.replaceChildren(element, legendOf(marks));
    const all = (within, name) => [...new Set([...host.querySelectorAll(`${within} [data-${name}]`)]
      .map((each) => each.getAttribute(`data-${name}`)))].sort();
    const outer = element.getBoundingClientRect();
    const texts = [...element.querySelectorAll("text")].map((each) => {
      const { left, top, right, bottom } = each.getBoundingClientRect();
      const box = [left - outer.left, top - outer.top, right - outer.left, bottom - outer.top];
      return { words: each.textContent, box };
    });
    return { drawn: all("svg.architecture", "glyph"), explained: all(".legend", "legend"), texts,
      size: [outer.width, outer.height], layers: host.querySelectorAll("svg.architecture [data-place]").length };
  });
}
"""


@pytest.fixture
def look() -> tuple[str, int]:
    """One width: how these pages fit others is told in `test_values_of_choices_stay_text`."""
    return ("light", 1280)


@pytest.fixture(scope="module")
def families(database: Path) -> dict[str, StudyRecord]:
    """A study of each group."""
    from runner.store import open_repository

    with open_repository(database) as repository:
        return record_families(repository)


def overlaps(texts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Labels whose boxes share more than a hair."""

    def meet(one: list[float], other: list[float]) -> bool:
        return (
            min(one[2], other[2]) - max(one[0], other[0]) > 0.5 and min(one[3], other[3]) - max(one[1], other[1]) > 1.5
        )

    return [
        (one["words"], other["words"])
        for place, one in enumerate(texts)
        for other in texts[:place]
        if meet(one["box"], other["box"])
    ]


def test_every_family_is_drawn_without_overlap_and_explained_exactly(
    watched: Watched, families: dict[str, StudyRecord]
) -> None:
    page = watched.page
    page.goto(f"/studies/{families['own'].id}/architectures/{GROUPS['own'][0].digest}")
    expect(page.locator(DRAWING)).to_be_visible()
    for name, architectures in GROUPS.items():
        documents = [
            page.request.get(f"/api/v1/studies/{families[name].id}/architectures/{one.digest}").json()
            for one in architectures
        ]
        for architecture, made in zip(architectures, page.evaluate(DRAW, documents), strict=True):
            told = f"{name} {architecture.digest}"
            assert made["texts"], told
            assert overlaps(made["texts"]) == [], told
            assert made["drawn"] == made["explained"], told
            assert all(box[0] >= 0 and box[2] <= made["size"][0] + 1 for box in boxes(made)), told
            assert all(box[3] <= made["size"][1] + 1 for box in boxes(made)), told
    assert watched.all_complaints() == []


def boxes(made: dict[str, Any]) -> list[list[float]]:
    return [text["box"] for text in made["texts"]]


def test_a_layer_shows_its_mixer_heads_and_bits(watched: Watched, families: dict[str, StudyRecord]) -> None:
    page = watched.page
    largest = GROUPS["causal_lm"][1]
    page.goto(f"/studies/{families['causal_lm'].id}/architectures/{largest.digest}")
    drawing = page.locator(DRAWING)
    layers = int(largest["depth"])
    expect(drawing.locator('[data-glyph="kind:full"]')).to_have_count(layers)
    heads = int(largest["layers.0.heads"])
    ticks = drawing.locator('[data-glyph="heads:query"] path').first.get_attribute("d")
    assert ticks is not None
    assert ticks.count("M") == heads
    expect(drawing.get_by_text(f"{heads} query heads").first).to_be_visible()
    expect(page.get_by_role("img", name=f"Architecture {largest.digest}")).to_be_visible()
    lines = page.locator("#as-text").inner_text().splitlines()
    assert len(lines) == layers + 1
    page.get_by_text("As a table").click()
    expect(page.locator('[data-choice="layers.0.mixer"]')).to_contain_text("softmax")
    assert watched.all_complaints() == []


@pytest.mark.parametrize("look", [("dark", 360)], ids=str)
def test_values_of_choices_stay_text(watched: Watched, families: dict[str, StudyRecord]) -> None:
    page = watched.page
    page.goto(f"/studies/{families['own'].id}/architectures/{GROUPS['own'][3].digest}")
    expect(page.locator("#as-text")).to_contain_text(HOSTILE)
    page.get_by_text("As a table").click()
    expect(page.locator("table td", has_text=HOSTILE).first).to_be_visible()
    assert page.locator("img[src=x], main script").count() == 0
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert watched.all_complaints() == []


def test_numbers_have_provenance_unit_interval_and_device(watched: Watched, repository: Repository) -> None:
    page = watched.page
    knee = repository_knee(page)
    page.goto(f"/studies/digits/architectures/{knee}")
    expect(page.locator("#standing")).to_have_text("knee")
    latency = page.locator('[data-metric="latency_ms"] td')
    expect(latency.nth(0)).to_contain_text("ms")
    expect(latency.nth(0)).to_contain_text("90 % interval")
    expect(latency.nth(0)).to_contain_text("on this-machine")
    row = page.locator('[data-metric="error"]')
    for column, words in enumerate(("inherited", "retrained", "exported")):
        expect(row.locator("td").nth(column)).to_contain_text(words)
        expect(row.locator("td").nth(column)).to_contain_text("%")
    link = page.get_by_role("link", name="Show on the front")
    assert str(link.get_attribute("href")).endswith(f"?point={knee}")
    assert watched.all_complaints() == []


def repository_knee(page: Page) -> str:
    return str(page.request.get("/api/v1/studies/digits/front?others=0").json()["knee"])


def test_neighbours_say_what_is_different_and_what_it_gives(watched: Watched, repository: Repository) -> None:
    look = len(repository.studies())
    study = create_study(repository, f"neighbours-{look}")
    start_study(repository, study)
    here = {"depth": 2, "layers.0.mixer": "softmax", "layers.1.mixer": "softmax"}
    there = {**here, "layers.1.mixer": "windowed"}
    (first, second) = made(repository, study, here, there)
    page = watched.page
    page.goto(f"/studies/{study.id}/architectures/{first}")
    near = page.locator(f'[data-neighbour="{second}"]')
    expect(near).to_contain_text("layers.1.mixer: windowed instead of softmax")
    expect(near).to_contain_text("2 points better in error")
    expect(near).to_contain_text("no clear difference in latency")
    expect(near).to_contain_text("100 % larger")
    near.get_by_role("link", name=f"Compare with {second}").click()
    page.wait_for_url(f"**/compare?points={first},{second}")
    expect(page.locator(DRAWING)).to_have_count(2)


def made(repository: Repository, study: StudyRecord, *answers: dict[str, Any]) -> list[str]:
    from search_spaces import Architecture

    architectures = [Architecture(each) for each in answers]
    for place, architecture in enumerate(architectures):
        repository.record_evaluation(study.id, an_evaluation(architecture, *values(place)))
    return [architecture.digest for architecture in architectures]


def test_a_dominated_one_names_what_is_better(watched: Watched, repository: Repository) -> None:
    from runner.store import ValueRecord
    from search_spaces import Architecture

    study = record_group(repository, f"dominated-{len(repository.studies())}", [Architecture({"depth": 1})])
    worse = Architecture({"depth": 9})
    numbers = [ValueRecord(metric=value.metric, value=2 * value.value, provenance="inherited") for value in values(0)]
    repository.record_evaluation(study.id, an_evaluation(worse, *numbers))
    page = watched.page
    page.goto(f"/studies/{study.id}/architectures/{worse.digest}")
    expect(page.locator("#standing")).to_have_text("dominated")
    expect(page.locator("#standing-words").get_by_role("link")).to_have_text(Architecture({"depth": 1}).digest)
    assert watched.all_complaints() == []


def test_keys_lead_to_the_knee_the_next_and_the_files(watched: Watched, families: dict[str, StudyRecord]) -> None:
    page = watched.page
    study = families["tdnn"].id
    points = [point["digest"] for point in page.request.get(f"/api/v1/studies/{study}/front").json()["points"]]
    page.goto(f"/studies/{study}/architectures/{points[0]}")
    expect(page.locator("#standing")).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("#take")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/architectures/{points[1]}")
    expect(page.locator("#standing")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**/architectures/{points[0]}")
    expect(page.locator("#with-knee")).to_be_visible()
    page.keyboard.press("c")
    page.wait_for_url("**/compare?points=*")
    expect(page.locator(DRAWING)).to_have_count(2)


def test_one_that_is_not_there_is_told(watched: Watched) -> None:
    page = watched.page
    page.goto("/studies/digits/architectures/00000000")
    expect(page.locator("#title")).to_contain_text("No evaluated architecture of this study has such a digest")


def test_a_panel_that_fails_leaves_the_others(watched: Watched) -> None:
    page = watched.page
    page.route(
        "**/api/v1/catalogue", lambda route: route.fulfill(status=500, body=json.dumps({}), content_type="text/plain")
    )
    page.goto(f"/studies/digits/architectures/{repository_knee(page)}")
    expect(page.locator("#take-panel").get_by_role("alert")).to_be_visible()
    expect(page.locator(DRAWING)).to_be_visible()
    page.unroute_all()
    page.locator("#take-panel").get_by_role("button", name="Try again").click()
    expect(page.locator("#take-panel").get_by_role("button", name="Export")).to_be_visible()
