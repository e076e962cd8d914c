"""Architectures beside each other: exactly what differs is marked, the best of each number, and the way on where a list
is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from runner.store import open_repository
from search_spaces import Architecture
from tests.browser.architectures import all_architectures, record_group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.browser.conftest import Watched

GROUPS = {name: found for name, found in all_architectures().items() if name in ("causal_lm", "staged", "own")}
DRAWING = "svg.architecture"
TWINS = (
    Architecture({"depth": 2, "layers.0.mixer": "softmax", "layers.0.heads": 2, "layers.1.mixer": "linear"}),
    Architecture({"depth": 2, "layers.0.mixer": "softmax", "layers.0.heads": 4, "layers.1.mixer": "linear"}),
)


@pytest.fixture
def look() -> tuple[str, int]:
    """One width, but for the tests that name others."""
    return ("light", 1280)


@pytest.fixture(scope="module")
def studies(database: Path) -> dict[str, str]:
    """The ids of a study of each group."""
    with open_repository(database) as repository:
        made = {name: record_group(repository, f"compare-{name}", found).id for name, found in GROUPS.items()}
        return {**made, "twins": record_group(repository, "compare-twins", TWINS).id}


def opened(page: Page, study: str, *points: str) -> None:
    page.goto(f"/studies/{study}/compare?points={','.join(points)}")


def differing(*architectures: Mapping[str, Any]) -> set[str]:
    """The choices that these do not all answer alike."""
    names = {name for one in architectures for name in one}
    return {name for name in names if len({repr(one.get(name)) for one in architectures}) > 1}


def test_exactly_what_differs_is_marked(watched: Watched, studies: dict[str, str]) -> None:
    page = watched.page
    for name, group in GROUPS.items():
        found = group[:3]
        opened(page, studies[name], *(one.digest for one in found))
        expect(page.locator(DRAWING)).to_have_count(3)
        wanted = differing(*found)
        marked, places = page.locator(DRAWING).evaluate_all(
            """(all) => [
              all.map((each) => [...each.querySelectorAll("[data-differs]")]
                .map((row) => row.dataset.differs).join(" ")),
              all.map((each) => [...each.querySelectorAll("[data-place]")].map((row) => row.dataset.place).join()),
            ]"""
        )
        assert [sorted(words.split(" ")) for words in marked] == [sorted(" ".join(wanted).split(" "))] * 3, name
        assert len(set(places)) == 1, "the same rows stand beside each other"
        page.get_by_text("As a table").click()
        rows = page.locator("tr[data-differs]").evaluate_all("all => all.map((each) => each.dataset.choice)")
        assert sorted(rows) == sorted(wanted), name
        expect(page.locator("#how-many")).to_contain_text(f"{len(wanted)} choice")
    assert watched.all_complaints() == []


def test_differences_alone_leave_out_what_is_equal(watched: Watched, studies: dict[str, str]) -> None:
    page = watched.page
    opened(page, studies["twins"], *(one.digest for one in TWINS))
    expect(page.locator(DRAWING)).to_have_count(2)
    first = page.locator(DRAWING).first
    expect(first.locator("[data-place]")).to_have_count(3)
    expect(first.get_by_text("≠ heads")).to_be_visible()
    page.get_by_label("differences only").check()
    expect(first.locator("[data-place]")).to_have_count(1)
    page.get_by_text("As a table").click()
    expect(page.locator("tr[data-choice]")).to_have_count(1)
    expect(page.locator("tr[data-choice]")).to_have_attribute("data-choice", "layers.0.heads")


def test_the_best_is_marked_and_overlapping_intervals_are_no_difference(
    watched: Watched, studies: dict[str, str]
) -> None:
    page = watched.page
    found = GROUPS["causal_lm"]
    opened(page, studies["causal_lm"], *(one.digest for one in found))
    error = page.locator('[data-metric="error"] li')
    expect(error).to_have_count(3)
    expect(error.nth(2)).to_contain_text("best")
    expect(error.nth(2)).to_contain_text("0.8 times the first")
    expect(error.nth(0)).not_to_contain_text("best")
    latency = page.locator('[data-metric="latency_ms"]')
    expect(latency.locator("[data-best]")).to_contain_text(found[0].digest)
    expect(latency.locator("li").nth(1)).to_contain_text("no clear difference")
    expect(latency.locator("li").nth(2)).not_to_contain_text("no clear difference")
    expect(latency.locator("li").nth(2)).to_contain_text("predicted")


def test_points_are_added_moved_and_removed_and_the_address_follows(watched: Watched, studies: dict[str, str]) -> None:
    page = watched.page
    one, two, three = (each.digest for each in GROUPS["causal_lm"])
    opened(page, studies["causal_lm"], one, two)
    heads = page.locator("figcaption code")
    expect(heads).to_have_text([one, two])
    page.get_by_role("button", name=f"Move {one} to the right").click()
    expect(heads).to_have_text([two, one])
    expect(page.get_by_role("button", name=f"Move {one} to the left")).to_be_focused()
    page.get_by_label("Another digest").fill(three[:8])
    page.keyboard.press("Enter")
    expect(heads).to_have_text([two, one, three])
    page.get_by_role("button", name=f"Remove {two}").click()
    expect(heads).to_have_text([one, three])
    page.go_back()
    expect(heads).to_have_text([two, one, three])
    page.reload()
    expect(heads).to_have_text([two, one, three])


def test_a_wrong_list_says_what_is_wrong_and_leaves_a_way_on(watched: Watched, studies: dict[str, str]) -> None:
    page = watched.page
    one = GROUPS["causal_lm"][0].digest
    for points, words in (
        ("", "names none"),
        (one, "names one"),
        (f"{one},00000000", "No evaluated architecture"),
        (f"{one},knee%3Cscript%3E", "This is no digest of an architecture: knee<script>"),
        ("aaaa,bbbb,cccc,dddd,eeee", "names 5"),
        (f"{one},{one[:6]}", "one and the same"),
    ):
        page.goto(f"/studies/{studies['causal_lm']}/compare?points={points}")
        expect(page.locator("#problems")).to_contain_text(words)
        expect(page.get_by_label("Another digest")).to_be_visible()
        assert page.locator("main script").count() == 0


@pytest.mark.parametrize("look", [("dark", 390)], ids=str)
def test_it_fits_a_phone_and_prints(watched: Watched, studies: dict[str, str], look: tuple[str, int]) -> None:
    page = watched.page
    opened(page, studies["own"], *(one.digest for one in GROUPS["own"]))
    expect(page.locator(DRAWING)).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= look[1]
    page.emulate_media(media="print")
    expect(page.locator("#add-one")).to_be_hidden()
    expect(page.locator(DRAWING).first).to_be_visible()
    assert watched.all_complaints() == []
