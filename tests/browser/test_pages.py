"""The pages in a real browser, wide and light, narrow and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.runner.service.studies import create_study, record_failure, start_study

if TYPE_CHECKING:
    from runner.store import Repository
    from tests.browser.conftest import Watched

PATHS = ["/", "/studies/digits", "/studies/half-way", "/studies/hostile"]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_and_nothing_complains(watched: Watched, look: tuple[str, int], path: str) -> None:
    watched.page.goto(path, wait_until="networkidle")
    assert watched.all_complaints() == []
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= look[1]
    assert watched.page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert watched.page.locator("img[src=x]").count() == 0


def test_the_colours_follow_the_scheme(watched: Watched, look: tuple[str, int]) -> None:
    watched.page.goto("/studies/digits")
    ground = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(245, 247, 249)", "dark": "rgb(12, 16, 22)"}[look[0]]


def test_every_link_and_every_scrolled_table_is_reached_by_keyboard(watched: Watched) -> None:
    page = watched.page
    page.goto("/studies/digits")
    wanted = page.locator("a[href], .scroll, pre").count()
    reached = set()
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("[...document.querySelectorAll('a[href], .scroll, pre')].indexOf(document.activeElement)")
        )
        visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert visible == "solid"
    assert reached == set(range(wanted))


def test_one_goes_from_the_list_to_a_study_to_its_picture_by_keyboard(watched: Watched) -> None:
    page = watched.page
    page.goto("/")
    page.get_by_role("link", name="digits").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="digits")).to_be_visible()
    # Leaving while the picture is still on its way would abort its request, which counts as a complaint.
    page.wait_for_load_state("networkidle")
    page.locator("a.picture").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/front.svg*")
    page.wait_for_load_state("networkidle")
    assert watched.all_complaints() == []


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


def test_the_picture_of_a_comparison_has_its_style_and_words(watched: Watched, look: tuple[str, int]) -> None:
    page = watched.page
    page.goto("/studies/digits")
    expect(page.get_by_role("heading", name="How far to trust shared weights")).to_be_visible()
    expect(page.get_by_role("img", name="shared weights rank them like training alone")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.goto("/studies/digits/fidelity.svg")
    ring = page.evaluate("getComputedStyle(document.querySelector('.ring')).stroke")
    assert ring == {"light": "rgb(168, 58, 0)", "dark": "rgb(255, 160, 102)"}[look[0]]
    assert watched.all_complaints() == []


def test_the_picture_has_words_for_those_who_do_not_see_it(watched: Watched) -> None:
    watched.page.goto("/studies/digits")
    expect(watched.page.get_by_role("img", name="on the front of 60 evaluated")).to_be_visible()


def scroll_of(page: Page) -> int:
    return int(page.evaluate("document.querySelector('.scroll').scrollLeft"))


def test_a_running_study_stays_up_to_date_without_losing_the_place(
    watched: Watched, repository: Repository, look: tuple[str, int]
) -> None:
    study = create_study(repository, f"live-{look[0]}")
    start_study(repository, study)
    page = watched.page
    page.clock.install()
    page.goto("/")
    page.evaluate("document.querySelector('.scroll').scrollLeft = 60")
    before = scroll_of(page)
    record_failure(repository, study, "loss is nan")
    page.clock.run_for(5_100)
    expect(page.locator("tr", has_text=study.name)).to_contain_text("1 failed")
    assert scroll_of(page) == before
    page.goto(f"/studies/{study.id}")
    repository.transition_study(study.id, "running", "interrupted", "Ctrl-C")
    page.clock.run_for(5_100)
    expect(page.locator(".title")).to_contain_text("interrupted")
    assert watched.all_complaints() == []


def test_what_somebody_reads_by_keyboard_is_not_replaced(
    watched: Watched, repository: Repository, look: tuple[str, int]
) -> None:
    study = create_study(repository, f"read-{look[0]}")
    start_study(repository, study)
    page = watched.page
    page.clock.install()
    page.goto(f"/studies/{study.id}")
    page.locator("pre").first.focus()
    record_failure(repository, study, "loss is nan")
    page.clock.run_for(11_000)
    expect(page.locator("pre").first).to_be_focused()
    assert page.get_by_role("heading", name="Failures").count() == 0


def test_a_silent_server_is_told_and_the_page_stays(watched: Watched) -> None:
    page = watched.page
    page.clock.install()
    page.goto("/studies/half-way")
    page.route("**/*", lambda route: route.abort())
    page.clock.run_for(5_100)
    expect(page.get_by_role("status")).to_contain_text("has not answered since")
    expect(page.get_by_role("heading", name="half-way")).to_be_visible()
    page.unroute_all()
    page.clock.run_for(5_100)
    expect(page.get_by_role("status")).to_have_count(0)
