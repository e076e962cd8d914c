"""What axe-core finds on every page, light and dark: nothing serious; and the main path by keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.keyboard import tab_to

if TYPE_CHECKING:
    from tests.browser.conftest import Watched

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
GRAVE = ("serious", "critical")
PAGES = {
    "/": "table.data tbody tr",
    "/new": "form",
    "/studies/digits": "#content:not([hidden])",
    "/studies/half-way": "#content:not([hidden])",
    "/studies/hostile": "#content:not([hidden])",
    "/studies/digits/architectures/knee": "main svg",
    "/studies/no-such-study": "h1",
}


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(watched: Watched, path: str) -> None:
    page = watched.page
    page.goto(path)
    page.locator(PAGES[path]).first.wait_for()
    expect(page.locator("[aria-busy=true], .skeleton")).to_have_count(0, timeout=60_000)
    found = Axe().run(page, options=RULES).response["violations"]
    grave = [
        f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:4]]}"
        for each in found
        if each["impact"] in GRAVE
    ]
    assert grave == []


def test_the_main_path_by_keyboard_alone(watched: Watched) -> None:
    """From the list to a study, along its front, to a comparison, and to where the model is taken home."""
    page = watched.page
    page.goto("/")
    tab_to(page, page.get_by_role("link", name="digits", exact=True))
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_visible()
    tab_to(page, page.locator("#scatter .chart-plot"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#scatter [aria-live=polite]")).not_to_be_empty()
    page.keyboard.press("Enter")
    first = page.locator("#point h3")
    expect(first).not_to_be_empty()
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    expect(page.get_by_role("link", name="Compare 2")).to_be_visible()
    tab_to(page, page.get_by_role("link", name="Compare 2"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare?points=*")
    expect(page.locator("main svg").nth(1)).to_be_visible()
    page.go_back()
    expect(page.locator("#content")).to_be_visible()
    expect(page.locator("#selection .chip")).to_have_count(2)
    tab_to(page, page.locator("#rows tr[tabindex='0']"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("e")
    page.wait_for_url("**/architectures/*#take")
    expect(page.locator("#take-panel")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
