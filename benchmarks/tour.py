"""The pictures of the tour in the README: the pages of a real study, as a browser shows them.

    make demo && .venv/bin/python -m benchmarks.tour [--home .demo] [--study digits] [--to docs/tour]

Serves the state folder on a free port without a worker, signs a headless Chromium in with a link, and keeps one
picture a page, in both colour schemes where `--all` asks for every width as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, Page, expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 60.0
WIDTHS = (390, 1280, 1920)
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]


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
    with served(arguments.home) as (address, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright.chromium.executable_path), args=FLAGS)
        looks = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
        for width, scheme in looks if arguments.all else [(1280, "light")]:
            tour(browser, address, token, arguments.study, width, scheme, arguments.to, whole=arguments.all)
        browser.close()


@contextmanager
def served(home: Path) -> Iterator[tuple[str, str]]:
    """The address of a server over this state folder, and the token that it left there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", "--home", str(home), "serve", "--port", "0", "--no-worker"],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            told = json.loads((home / "server.json").read_text()) if (home / "server.json").exists() else {}
            if told.get("pid") == process.pid:
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"no server came up over {home}; `make demo` makes a state folder to look at")
            time.sleep(0.1)
        yield told["url"], (home / "token").read_text().strip()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def tour(
    browser: Browser, address: str, token: str, study: str, width: int, scheme: str, to: Path, *, whole: bool
) -> None:
    """One picture of each page."""
    front = asked(address, token, f"/api/v1/studies/{study}/front?others=0")
    others = [point["digest"] for point in front["points"] if point["digest"] != front["knee"]]
    words = {"study": study, "knee": front["knee"], "other": others[0] if others else front["knee"]}
    context = browser.new_context(
        base_url=address,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 844 if width < 600 else 1100},
        device_scale_factor=1,
    )
    page = context.new_page()
    page.goto(asked(address, token, "/api/v1/login-links", body={})["url"])
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


def asked(address: str, token: str, path: str, body: object | None = None) -> dict[str, object]:
    request = urllib.request.Request(
        address + path,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        data=None if body is None else json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def chromium(own: str) -> str:
    """Where Chromium is; `make test` brings one."""
    named = os.environ.get("SUPERNAUT_CHROMIUM")
    for path in (named, *map(shutil.which, ("chromium", "chromium-browser", "google-chrome")), own):
        if path and Path(path).exists():
            return path
    raise SystemExit("no Chromium: run `make test`, which brings one, or set SUPERNAUT_CHROMIUM to its path")


if __name__ == "__main__":
    main()
