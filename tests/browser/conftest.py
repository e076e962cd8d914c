"""A browser, and a real server on a port of its own for it to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from runner.front import read_front
from runner.store import Repository, open_repository
from tests.browser.chromium import launched
from tests.browser.serving import REPORT, add_session, serving, signed_in
from tests.runner.service.studies import (
    create_study,
    finish_study,
    record_failure,
    record_fidelity,
    record_model,
    record_search,
    start_study,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests need no browser: whoever has none can still run them."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.slow)


@dataclass
class Watched:
    """A page, and everything that it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def all_complaints(self) -> list[str]:
        return [*self.complaints, *self.page.evaluate("window.violations ?? []")]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)  # a machine that does much else is no failure
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with a complete study, a running one and a failed one."""
    path = tmp_path_factory.mktemp("browser") / "supernaut.db"
    with open_repository(path) as repository:
        digits = create_study(repository)
        finish_study(repository, digits, evaluations=60)
        for place, point in enumerate(read_front(digits, repository).points[:3]):
            if not point.later:
                record_model(repository, digits, point.architecture, 0.011 + 0.004 * place)
        record_fidelity(repository, digits)
        running = create_study(repository, "half-way")
        start_study(repository, running)
        record_search(repository, running, 8)
        hostile = create_study(repository, "hostile")
        start_study(repository, hostile)
        words = "<img src=x onerror=alert(1)><script>alert(2)</script>" + "averylongword" * 30
        record_failure(repository, hostile, words)
        repository.transition_study(hostile.id, "running", "failed", words)
    return path


@pytest.fixture
def repository(database: Path) -> Iterator[Repository]:
    with open_repository(database) as repository:
        yield repository


@pytest.fixture(scope="session")
def address(database: Path) -> Iterator[str]:
    """A server over the record."""
    with serving(database) as address:
        yield address


@pytest.fixture(params=["light-1280", "dark-360"])
def look(request: pytest.FixtureRequest) -> tuple[str, int]:
    """A colour scheme and a width."""
    scheme, width = request.param.split("-")
    return scheme, int(width)


@pytest.fixture
def stranger(browser: Browser, address: str, look: tuple[str, int]) -> Iterator[BrowserContext]:
    """A browser without a session."""
    scheme, width = look
    context = browser.new_context(
        base_url=address,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 800},
    )
    context.set_default_timeout(20_000)
    context.add_init_script(REPORT)
    yield context
    context.close()


@pytest.fixture
def context(stranger: BrowserContext, repository: Repository, address: str) -> BrowserContext:
    """A browser with the administrator's session."""
    session = add_session(repository)
    port = address.rpartition(":")[2]
    stranger.add_cookies(
        [{"name": f"supernaut_{port}", "value": session, "url": address, "httpOnly": True, "sameSite": "Strict"}]
    )
    return stranger


@pytest.fixture
def watched(context: BrowserContext) -> Watched:
    """A page that keeps what the browser complains about."""
    watched = Watched(context.new_page())
    page = watched.page
    page.on("console", lambda message: watched.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on("requestfailed", lambda request: watched.complaints.append(f"failed: {request.url}"))

    def dismiss(dialog: object) -> None:
        watched.complaints.append("a dialog opened")
        dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", dismiss)
    return watched


@pytest.fixture(scope="module")
def own(record: Path) -> Iterator[str]:
    """A server over `record`, which a module makes for itself."""
    with serving(record) as address:
        yield address


@pytest.fixture
def kept(record: Path) -> Iterator[Repository]:
    """The record of that server."""
    with open_repository(record) as repository:
        yield repository


@pytest.fixture
def visitor(browser: Browser, own: str, record: Path) -> Iterator[BrowserContext]:
    """An administrator's browser at that server."""
    with signed_in(browser, own, record) as context:
        yield context
