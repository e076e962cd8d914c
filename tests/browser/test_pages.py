"""The pages in a real browser, wide and light, narrow and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from tests.browser.conftest import Watched

# What is there when a page has shown itself.
SHOWN = {
    "/": "table.data tbody tr",
    "/new": ".standing:not(:empty)",
    "/new?example=digits": ".standing.is-good",
    "/studies/digits": "#content:not([hidden])",
    "/studies/half-way": "#content:not([hidden])",
    "/studies/hostile": "#content:not([hidden])",
}
REACHABLE = "a[href], button, input, select, textarea, summary, pre, .scroll"
# Of those, what can be seen and be given the focus; of tabs and radio buttons, one of each group.
WANTED = f"""[...document.querySelectorAll({REACHABLE!r})].filter((each) =>
    each.checkVisibility() && !each.disabled && each.tabIndex >= 0)"""


def show(page: Page, path: str) -> None:
    page.goto(path)
    page.locator(SHOWN[path]).first.wait_for()


@pytest.mark.parametrize("path", SHOWN)
def test_a_page_fits_and_nothing_complains(watched: Watched, look: tuple[str, int], path: str) -> None:
    show(watched.page, path)
    expect(watched.page.locator("[aria-busy=true]")).to_have_count(0)
    assert watched.all_complaints() == []
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= look[1]
    watched.page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    assert watched.page.locator("img[src=x]").count() == 0


def test_the_colours_follow_the_scheme(watched: Watched, look: tuple[str, int]) -> None:
    show(watched.page, "/")
    ground = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(245, 247, 249)", "dark": "rgb(12, 16, 22)"}[look[0]]


@pytest.mark.parametrize("path", ["/", "/new?example=digits"])
def test_everything_is_reached_by_keyboard_and_seen_to_be(watched: Watched, path: str) -> None:
    page = watched.page
    show(page, path)
    wanted = page.evaluate(f"({WANTED}).length")
    assert wanted > 10
    reached = set()
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
        place, outline = page.evaluate(
            f"[({WANTED}).indexOf(document.activeElement), getComputedStyle(document.activeElement).outlineStyle]"
        )
        if place >= 0:
            reached.add(place)
            assert outline == "solid"
    assert reached == set(range(wanted))


def test_targets_are_large_enough(watched: Watched) -> None:
    """WCAG 2.2, 2.5.8: 24 by 24 pixels, but for links in a line of text."""
    page = watched.page
    for path in ("/", "/new?example=digits"):
        show(page, path)
        small = page.evaluate(
            """[...document.querySelectorAll("button, input, select, textarea, summary, label.check, .button")]
               .filter((each) => each.checkVisibility() && each.closest("label.check") !== each.parentElement)
               .map((each) => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
               .filter(([, box]) => box.height < 24 || box.width < 24).map(([html]) => html)"""
        )
        assert small == []


def test_one_goes_from_the_list_to_a_study_by_keyboard(watched: Watched) -> None:
    page = watched.page
    show(page, "/")
    page.get_by_role("link", name="digits", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="digits", level=1)).to_be_visible()


def test_the_picture_alone_has_its_style_and_the_drawing_for_its_width(watched: Watched, look: tuple[str, int]) -> None:
    page = watched.page
    page.goto("/studies/digits/front.svg")
    shown = page.evaluate(
        "[...document.querySelectorAll('svg > svg')].filter((each) => getComputedStyle(each).display !== 'none')"
        ".map((each) => each.getAttribute('class'))"
    )
    assert shown == ["wide" if look[1] > 560 else "narrow"]
    paper = page.evaluate("getComputedStyle(document.querySelector('.paper')).fill")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 31)"}[look[0]]
    assert page.locator("title", has_text="inherited").count() > 0
    assert watched.all_complaints() == []


def test_the_picture_of_a_comparison_has_its_style(watched: Watched, look: tuple[str, int]) -> None:
    page = watched.page
    page.goto("/studies/digits/fidelity.svg")
    ring = page.evaluate("getComputedStyle(document.querySelector('.ring')).stroke")
    assert ring == {"light": "rgb(168, 58, 0)", "dark": "rgb(255, 160, 102)"}[look[0]]
    assert watched.all_complaints() == []


def test_who_has_no_scripts_is_told_the_command(context: object, address: str) -> None:
    page = context.new_page()  # type: ignore[attr-defined]
    for path in ("/", "/new", "/studies/digits"):
        text = page.request.get(f"{address}{path}").text()
        assert "<noscript>" in text
        assert "supernaut" in text.partition("<noscript>")[2].partition("</noscript>")[0]
