"""A person who never wrote a line of YAML: submits the example, watches it, looks, compares, and takes her model home.

A real server in a process of its own, its real worker, a real if small study.  Once undisturbed; once the server is
killed while the study runs, with everything that it started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from runner.settings import Home
from runner.store import open_repository
from tests.browser.serving import REPORT
from tests.integration.studies import ROOT, environment, supernaut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.timeout(1200)

PATIENCE_MS = 480_000  # of whoever waits for the study here; nothing is measured with it
EVALUATIONS = 12


@contextmanager
def serving_really(home: Path, port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """`supernaut serve` with its worker; killed with all that it started if it still runs at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", "serve", "--port", str(port)],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while told(home).get("pid") != process.pid:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                kill(process)


def told(home: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((home / "server.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


@contextmanager
def explained(home: Path) -> Iterator[None]:
    """A failure in here says what the study had recorded by then."""
    try:
        yield
    except AssertionError as failure:
        with open_repository(Home(home).database) as repository:
            for study in repository.studies():
                for event in repository.events(study.id):
                    failure.add_note(f"{event.time} {event.kind} {event.payload}")
        raise


def kill(process: subprocess.Popen[bytes]) -> None:
    """The server and its worker, as a machine that loses its power would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def visiting(browser: Browser, home: Path) -> Iterator[Page]:
    """Somebody who opened the link that the server printed, and what their browser complained about."""
    address = told(home)["url"]
    request = urllib.request.Request(
        f"{address}/api/v1/login-links",
        data=b"{}",
        headers={"Authorization": f"Bearer {(home / 'token').read_text().strip()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        link = json.load(answer)["url"]
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    context.add_init_script(REPORT)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(link)
    yield page
    assert faults == []
    assert page.evaluate("window.violations") == []
    context.close()


def submit(page: Page, name: str) -> str:
    """The example by form, smaller, without a retraining of its own; the id of the study."""
    page.get_by_role("link", name="example").or_(page.get_by_role("button", name="example")).first.click()
    page.wait_for_url("**/new*")
    if page.get_by_label("Name of the study").input_value() == "":
        page.get_by_role("button", name="Start from the example").click()
    page.get_by_label("Name of the study").fill(name)
    # One latency is a careful minute of a quiet machine; the front here is of error and size.
    page.get_by_role("button", name="Remove latency").click()
    for label, value in (
        ("Training steps", "30"),
        ("Evaluations", str(EVALUATIONS)),
        ("Latencies measured", "8"),
        ("Steps of retraining", "20"),  # of the point that is taken in the end
    ):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("group", name="Retrain").get_by_label("the knee").uncheck()
    page.get_by_role("button", name="Submit the study").click()
    page.wait_for_url("**/studies/*")
    return page.url.partition("/studies/")[2].partition("?")[0]


def drawn(page: Page) -> None:
    expect(page.locator("#content")).to_be_visible()


def brush(page: Page) -> None:
    """Select a box over the whole of the front's chart."""
    page.locator("#scatter").get_by_role("button", name="Box").click()
    plot = page.locator("#scatter .chart-plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.12, box["y"] + box["height"] * 0.08)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + box["height"] * 0.85, steps=4)
    page.mouse.up()


def choose(page: Page, row: Locator) -> str:
    """Click on a row of the table; the digest of the point that its panel shows then.  (A live table moves its rows,
    and the panel shows the point before until the chosen one has been read.)"""
    row.click()
    point = page.evaluate("new URLSearchParams(location.search).get('point')")
    expect(page.locator("#point h3")).to_have_text(point)
    return str(point)


def test_from_the_form_to_a_verified_model(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with explained(home), serving_really(home), visiting(browser, home) as page:
        study = submit(page, "first")
        drawn(page)
        expect(page.locator("#study-title .state")).to_have_text("complete", timeout=PATIENCE_MS)
        expect(page.locator("#rows-words")).to_contain_text("of ")

        brush(page)
        expect(page.locator("#selection")).to_contain_text("selected")
        assert "select=" in page.url
        selected = page.locator("#rows-words").inner_text()
        page.reload()
        drawn(page)
        expect(page.locator("#rows-words")).to_have_text(selected)  # the address keeps it
        page.locator("#selection").get_by_role("button", name="Clear").click()

        rows = page.locator("#rows tbody tr[data-place]")
        page.get_by_label("front only").check()
        choose(page, rows.nth(0))
        page.locator("#point").get_by_role("button", name="Compare").click()
        choose(page, rows.nth(1))
        page.locator("#point").get_by_role("button", name="Compare").click()
        page.get_by_role("link", name="Compare 2").click()
        page.wait_for_url("**/compare?points=*")
        expect(page.locator("main svg").nth(1)).to_be_visible()
        page.go_back()
        drawn(page)

        page.locator("#point").get_by_role("link", name="Take it").click()
        page.wait_for_url(f"**/studies/{study}/architectures/*")
        take = page.locator("#take-panel")
        take.get_by_role("button", name="Export").click()
        card = take.locator("[data-job]").first
        expect(card).to_have_attribute("data-state", "complete", timeout=PATIENCE_MS)
        with page.expect_download() as download:
            card.get_by_role("link", name="Download the bundle").click()
        bundle = tmp_path / "bundle"
        with zipfile.ZipFile(download.value.path()) as archive:
            archive.extractall(bundle)
    verified = supernaut(home, "verify", str(bundle), "--no-latency")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_server_that_is_killed_comes_back_to_the_same_page(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with explained(home), serving_really(home) as process:
        port = int(told(home)["url"].rpartition(":")[2])
        with visiting(browser, home) as page:
            study = submit(page, "killed")
            drawn(page)
            # In the middle of the search, with a row chosen and an axis on a logarithmic scale.
            expect(page.locator("#rows tbody tr[data-place]").first).to_be_visible(timeout=PATIENCE_MS)
            page.get_by_label("log").first.check()
            chosen = choose(page, page.locator("#rows tbody tr[data-place]").first)
            kill(process)
            banner = page.locator("#lost")
            expect(banner).to_contain_text("The server has not answered since")
            address = page.url
            with serving_really(home, port):
                expect(banner).to_be_hidden(timeout=60_000)
                expect(page.locator("#study-title .state")).to_have_text("complete", timeout=PATIENCE_MS)
                assert page.url == address
                expect(page.get_by_label("log").first).to_be_checked()
                expect(page.locator("#point h3")).to_have_text(chosen)
                with open_repository(Home(home).database) as repository:
                    records = repository.evaluations(study)
                    assert repository.study(study).state == "complete"
                plain = [record.digest for record in records if record.fidelity == "inherited"]
                assert len(plain) == len(set(plain)) == EVALUATIONS
                expect(page.locator("#rows-words")).to_contain_text(f"{len(records)} rows of {len(records)}")
