"""What axe-core finds on every page, light and dark: nothing serious; and the main path by keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

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
