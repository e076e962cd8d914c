"""The pictures of the tour in the README: the pages of a real study, as a browser shows them.

    make demo && .venv/bin/python -m benchmarks.tour [--home .demo] [--study digits] [--to docs/tour]

Serves the state folder on a free port without a worker, signs a headless Chromium in with a link, and keeps one
picture a page, in both colour schemes where `--all` asks for every width as well.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.service import serving
from runner.settings import Home
from tests.browser.chromium import launched

if TYPE_CHECKING:
    import httpx2

WIDTHS = (390, 1280, 1920)


@dataclass(frozen=True)
class Stop:
    """One page of the tour; `{study}`, `{knee}` and `{other}` are filled in."""

    name: str
    path: str
    ready: str  # a selector that is there once the page is drawn


STOPS = (
    Stop("studies", "/", "table.data tbody tr"),
    Stop("new", "/new", "form"),
    Stop("study", "/studies/{study}?point={knee}", "#content:not([hidden])"),
    Stop("architecture", "/studies/{study}/architectures/{knee}", "main svg"),
    Stop("compare", "/studies/{study}/compare?points={knee},{other}", "main svg"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path(".demo"))
    parser.add_argument("--study", default="digits")
    parser.add_argument("--to", type=Path, default=Path("docs/tour"))
    parser.add_argument(
        "--all", action="store_true", help="every width and scheme, whole pages: for looking, not for the README"
    )
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    with serving(Home(arguments.home)) as (client, _), sync_playwright() as playwright:
        browser = launched(playwright, "--hide-scrollbars")
        looks = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
        for width, scheme in looks if arguments.all else [(1280, "light")]:
            tour(browser, client, arguments.study, width, scheme, arguments.to, whole=arguments.all)
        browser.close()


def tour(
    browser: Browser, client: httpx2.Client, study: str, width: int, scheme: str, to: Path, *, whole: bool
) -> None:
    """One picture of each page."""
    front = client.get(f"/studies/{study}/front?others=0").raise_for_status().json()
    others = [point["digest"] for point in front["points"] if point["digest"] != front["knee"]]
    words = {"study": study, "knee": front["knee"], "other": others[0] if others else front["knee"]}
    context = browser.new_context(
        base_url=str(client.base_url.copy_with(path="/")),
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 844 if width < 600 else 1100},
        device_scale_factor=1,
    )
    page = context.new_page()
    page.goto(client.post("/login-links", json={}).raise_for_status().json()["url"])
    for stop in STOPS:
        page.goto(stop.path.format(**words))
        page.locator(stop.ready).first.wait_for(state="visible")
        settled(page)
        suffix = f"-{width}-{scheme}" if whole else ""
        page.screenshot(path=to / f"{stop.name}{suffix}.png", full_page=whole)
    context.close()


def settled(page: Page) -> None:
    """Wait until nothing on the page is being read; the stream of events never ends, so the network is no sign."""
    expect(page.locator("[aria-busy=true], .skeleton")).to_have_count(0, timeout=60_000)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_timeout(300)


if __name__ == "__main__":
    main()
