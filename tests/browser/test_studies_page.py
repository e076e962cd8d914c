"""The list of studies: asked for in the address, changed in place, and what one may do with a study."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from runner.store import open_repository
from tests.browser.serving import add_session, serving, signed_in
from tests.runner.service.studies import create_study, finish_study, record_search, start_study

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Route

    from runner.store import Repository

PAGE = 25


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty studies that wait, one that runs, one that is complete, one that failed."""
    path = tmp_path_factory.mktemp("list") / "supernaut.db"
    with open_repository(path) as repository:
        for number in range(30):
            create_study(repository, f"waits-{number:02}")
        finish_study(repository, create_study(repository, "done"), evaluations=30)
        failed = create_study(repository, "no-luck", {"error": {"at_most": 0.05}})
        start_study(repository, failed)
        repository.transition_study(failed.id, "running", "failed", "the disk is full")
        running = create_study(repository, "at-work")
        start_study(repository, running)
        record_search(repository, running, 4)
        repository.edit_study(running.id, running.revision, tags=("baseline",))
    return path


@pytest.fixture
def page(visitor: BrowserContext) -> Page:
    """The list, as it is at first."""
    page = visitor.new_page()
    page.goto("/")
    rows(page).first.wait_for()
    return page


def rows(page: Page) -> Locator:
    return page.locator("table.data tbody tr")


def row(page: Page, name: str) -> Locator:
    return rows(page).filter(has=page.get_by_role("link", name=name, exact=True))


def listeners(page: Page) -> float:
    told = page.request.get("/metrics").text()
    (line,) = [line for line in told.splitlines() if line.startswith("supernaut_listeners ")]
    return float(line.split()[1])


def test_a_row_tells_state_reason_objectives_progress_and_course(page: Page) -> None:
    expect(row(page, "no-luck")).to_contain_text("failed")
    expect(row(page, "no-luck")).to_contain_text("the disk is full")
    expect(row(page, "no-luck")).to_contain_text("error ↓lower is better ≤ 0.05")
    expect(row(page, "at-work").get_by_role("list", name="Tags")).to_contain_text("baseline")
    expect(row(page, "done")).to_contain_text("6 of 6 stages")
    expect(row(page, "done").locator(".course svg title")).to_contain_text("30 numbers")
    expect(row(page, "waits-29")).to_contain_text("none yet")


def test_search_state_and_order_stand_in_the_address(page: Page) -> None:
    page.get_by_role("searchbox").fill("waits-1")
    expect(rows(page)).to_have_count(10)
    assert "search=waits-1" in page.url
    page.get_by_role("button", name="name").click()
    expect(rows(page).first).to_contain_text("waits-10")
    page.get_by_role("button", name="name").click()
    expect(rows(page).first).to_contain_text("waits-19")
    page.reload()
    expect(rows(page).first).to_contain_text("waits-19")
    expect(page.get_by_role("searchbox")).to_have_value("waits-1")
    page.go_back()
    expect(rows(page).first).to_contain_text("waits-10")
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_text("No study fits")).to_be_visible()
    page.get_by_role("button", name="Show all studies").click()
    expect(rows(page)).to_have_count(PAGE)
    page.get_by_label("State").select_option("failed")
    expect(rows(page)).to_have_count(1)
    assert page.url.endswith("/?state=failed")


def test_pages_lead_forward_and_back_without_gaps(page: Page) -> None:
    first = rows(page).locator("th a").all_inner_texts()
    assert page.get_by_role("button", name="Previous page").is_disabled()
    page.get_by_role("button", name="Next page").click()
    expect(rows(page).first).not_to_contain_text(first[0])
    second = rows(page).locator("th a").all_inner_texts()
    assert not set(first) & set(second)
    assert "cursor=" in page.url
    page.reload()
    expect(rows(page).first).to_contain_text(second[0])
    page.get_by_role("button", name="Previous page").click()
    expect(rows(page).first).to_contain_text(first[0])
    page.go_back()
    expect(rows(page).first).to_contain_text(second[0])
    page.goto("/?cursor=nonsense")
    expect(rows(page).first).to_contain_text(first[0])


def test_a_row_changes_in_place_and_keeps_the_focus(page: Page, kept: Repository) -> None:
    page.evaluate("window.loadedOnce = true")
    study = create_study(kept, "soon")
    page.get_by_role("button", name="1 new study: show").click()
    page.get_by_role("link", name="soon", exact=True).focus()
    start_study(kept, study)
    expect(row(page, "soon")).to_contain_text("running")
    kept.transition_study(study.id, "running", "failed", "it was not to be")
    expect(row(page, "soon")).to_contain_text("it was not to be")
    expect(page.get_by_role("link", name="soon", exact=True)).to_be_focused()
    assert page.evaluate("window.loadedOnce")
    kept.delete_study(study.id)


def test_what_somebody_else_makes_waits_until_it_is_asked_for(page: Page, kept: Repository) -> None:
    before = rows(page).locator("th a").all_inner_texts()
    study = create_study(kept, "of-somebody")
    fresh = page.get_by_role("button", name="1 new study: show")
    expect(fresh).to_be_visible()
    assert rows(page).locator("th a").all_inner_texts() == before
    fresh.click()
    expect(rows(page).first).to_contain_text("of-somebody")
    expect(fresh).to_be_hidden()
    kept.delete_study(study.id)


def test_to_delete_asks_first(page: Page, kept: Repository) -> None:
    study = create_study(kept, "not-needed")
    page.reload()
    page.get_by_role("button", name="Delete not-needed").click()
    dialog = page.get_by_role("dialog", name="Delete not-needed?")
    expect(dialog.get_by_role("button", name="Keep as it is")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert kept.study(study.id).name == "not-needed"
    page.get_by_role("button", name="Delete not-needed").click()
    dialog.get_by_role("button", name="Delete not-needed").click()
    expect(page.get_by_text("not-needed is deleted.")).to_be_visible()
    expect(row(page, "not-needed")).to_have_count(0)
    assert "not-needed" not in {each.name for each in kept.studies()}


def test_a_study_is_stopped_and_resumed_from_its_row(page: Page, kept: Repository) -> None:
    study = create_study(kept, "to-and-fro")
    page.reload()
    page.get_by_role("button", name="Resume to-and-fro").click()
    expect(row(page, "to-and-fro")).to_contain_text("waits for a worker")
    page.get_by_role("button", name="Stop to-and-fro").click()
    expect(row(page, "to-and-fro")).to_contain_text("interrupted")
    expect(page.get_by_role("button", name="Resume to-and-fro")).to_be_focused()
    kept.delete_study(study.id)


def test_who_may_only_read_sees_no_actions(browser: Browser, own: str, record: Path, kept: Repository) -> None:
    with signed_in(browser, own, record) as context:
        (cookie,) = context.cookies()
        context.add_cookies([{**cookie, "value": add_session(kept, ("read",))}])  # type: ignore[list-item]
        page = context.new_page()
        page.goto("/")
        expect(rows(page)).to_have_count(PAGE)
        expect(page.get_by_role("button", name=re.compile("Delete|Stop|Resume"))).to_have_count(0)
        expect(page.get_by_role("link", name=re.compile("New study|Clone"))).to_have_count(0)
        page.goto("/new")
        expect(page.get_by_text("Your session may only look")).to_be_visible()
        expect(page.get_by_role("button", name="Submit the study")).to_have_count(0)


def test_before_the_first_study_there_is_an_example(browser: Browser, own: str, record: Path, kept: Repository) -> None:
    with signed_in(browser, own, record) as context:
        (cookie,) = context.cookies()
        session = add_session(kept, ("read", "submit"), owner="anna")
        context.add_cookies([{**cookie, "value": session}])  # type: ignore[list-item]
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_role("heading", name="No study yet")).to_be_visible()
        expect(page.get_by_text("run examples/digits.yaml")).to_be_visible()
        page.get_by_role("link", name="Open the example").click()
        expect(page.get_by_label("Name of the study")).to_have_value("digits")


def test_keys_do_something_but_not_while_somebody_types(page: Page) -> None:
    page.keyboard.press("j")
    expect(rows(page).nth(0).get_by_role("link").first).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(rows(page).nth(1).get_by_role("link").first).to_be_focused()
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("j/n?")
    expect(search).to_have_value("j/n?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Show all studies").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("new study")
    page.get_by_label("Single keys do something").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "/new" not in page.url


def test_colours_that_were_chosen_stay(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(245, 247, 249)"
    button = page.get_by_role("button", name=re.compile("Colours"))
    button.click()
    button.click()
    assert page.evaluate(ground) == "rgb(12, 16, 22)"
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert page.evaluate(ground) == "rgb(12, 16, 22)"


def test_what_happens_before_the_stream_opens_is_told_too(visitor: BrowserContext, kept: Repository) -> None:
    page = visitor.new_page()
    held: list[Route] = []
    page.route(re.compile("/api/v1/events"), lambda route: held.append(route))
    page.goto("/")
    rows(page).first.wait_for()
    study = create_study(kept, "in-between")
    while not held:
        page.wait_for_timeout(50)
    held.pop().continue_()
    expect(page.get_by_role("button", name="1 new study: show")).to_be_visible()
    kept.delete_study(study.id)


def test_who_comes_back_is_not_told_what_the_list_was_read_after(visitor: BrowserContext, kept: Repository) -> None:
    page = visitor.new_page()
    page.goto("/?search=at-work")
    rows(page).first.wait_for()
    page.goto("/new")
    made = create_study(kept, "while-away")
    page.go_back()
    rows(page).first.wait_for()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    running = kept.study("at-work")
    kept.edit_study(running.id, running.revision, tags=("baseline", "seen"))
    expect(row(page, "at-work")).to_contain_text("seen")  # and so has been whatever happened before
    expect(page.get_by_role("button", name=re.compile("new stud"))).to_be_hidden()
    kept.delete_study(made.id)


def test_the_tabs_of_a_browser_share_one_stream(page: Page, visitor: BrowserContext, kept: Repository) -> None:
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    other = visitor.new_page()
    other.goto("/")
    expect(other.get_by_text("live", exact=True)).to_be_visible()
    rows(other).first.wait_for()  # a list that is read after a study was made shows it at once
    assert listeners(page) == 1
    study = create_study(kept, "for-both")
    for each in (page, other):
        expect(each.get_by_role("button", name="1 new study: show")).to_be_visible()
    page.close()  # it held the stream; the other one goes on
    kept.delete_study(study.id)
    again = create_study(kept, "for-one")
    expect(other.get_by_role("button", name=re.compile("new stud"))).to_be_visible()
    other.get_by_role("button", name=re.compile("new stud")).click()
    expect(row(other, "for-one")).to_be_visible()
    assert listeners(other) == 1
    kept.delete_study(again.id)


def test_a_lost_server_is_told_and_what_happened_meanwhile_is_shown(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "supernaut.db"
    with open_repository(path) as repository, ExitStack() as first:
        study = create_study(repository, "goes-on")
        start_study(repository, study)
        address = first.enter_context(serving(path))
        with signed_in(browser, address, path) as context:
            page = context.new_page()
            page.goto("/")
            expect(page.get_by_text("live", exact=True)).to_be_visible()
            expect(row(page, "goes-on")).to_contain_text("running")  # read over a connection of its own
            page.evaluate("window.loadedOnce = true")
            first.close()
            banner = page.get_by_role("status").filter(has_text="The server has not answered since")
            expect(banner).to_be_visible()
            expect(row(page, "goes-on")).to_contain_text("running")
            repository.transition_study(study.id, "running", "failed", "nobody was watching")
            with serving(path, int(address.rpartition(":")[2])):
                expect(banner).to_be_hidden(timeout=15_000)
                expect(row(page, "goes-on")).to_contain_text("nobody was watching")
                assert page.evaluate("window.loadedOnce")
                assert listeners(page) == 1


def test_a_server_lost_before_the_first_answer_is_waited_for(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "supernaut.db"
    lists = re.compile("/api/v1/studies[?]")
    with open_repository(path) as repository, ExitStack() as first:
        create_study(repository, "not-yet-read")
        address = first.enter_context(serving(path))
        with signed_in(browser, address, path) as context:
            page = context.new_page()
            page.route(lists, lambda route: route.abort())
            page.goto("/")
            expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
            expect(page.get_by_text("live", exact=True)).to_be_visible()
            first.close()
            expect(page.get_by_text("not connected", exact=True)).to_be_visible()
            page.unroute(lists)
            with serving(path, int(address.rpartition(":")[2])):
                expect(row(page, "not-yet-read")).to_be_visible(timeout=15_000)
                expect(page.get_by_role("alert")).to_have_count(0)
