"""The form for a new study: by keyboard, by text, with what is wrong beside its field, and nothing typed is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from runner.store import open_repository
from tests.browser.keyboard import tab_to
from tests.runner.service.studies import create_study

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Request

    from runner.store import Repository

CHECKS = "**/api/v1/studies/validate"

TEXT = """name: by-text
task: {name: digits}
space: {name: vision_transformer}
objectives:
  error: {goal: minimize}
  model_bytes: {goal: minimize}
train: {steps: 40, batch: 32}
"""


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study, whose name is taken."""
    path = tmp_path_factory.mktemp("new") / "supernaut.db"
    with open_repository(path) as repository:
        create_study(repository, "taken", {"error": {"at_most": 0.05}, "latency_ms": {"batch": 4}})
    return path


@pytest.fixture
def page(visitor: BrowserContext) -> Page:
    """An empty form."""
    page = visitor.new_page()
    page.goto("/new")
    page.get_by_label("Name of the study").wait_for()
    return page


def name_of(page: Page) -> Locator:
    return page.get_by_label("Name of the study")


def from_example(page: Page, name: str) -> None:
    page.get_by_role("button", name="Start from the example").click()
    expect(name_of(page)).to_have_value("digits")
    name_of(page).fill(name)
    expect(page.get_by_text("Ready to be submitted")).to_be_visible()


def as_file(page: Page) -> str:
    return page.get_by_label("Study file as YAML").inner_text()


def paste(page: Page, text: str) -> None:
    page.get_by_role("tab", name="Paste YAML").click()
    page.get_by_label("Study file", exact=True).fill(text)


@pytest.mark.parametrize(("start", "name"), [("?example=digits", "digits"), ("?from=taken", "taken-2"), ("", "digits")])
def test_nothing_can_be_typed_that_what_is_on_its_way_would_replace(
    visitor: BrowserContext, kept: Repository, start: str, name: str
) -> None:
    """The server's answers about what a study file means are held back."""
    page = visitor.new_page()
    start = start.replace("taken", kept.study("taken").id)
    page.route(CHECKS, lambda route: None)
    if start == "":
        page.goto("/new")
        name_of(page).fill("early")
    with page.expect_request(CHECKS):
        if start == "":
            page.get_by_role("button", name="Start from the example").click()
        else:
            page.goto(f"/new{start}")
    assert page.locator("#form input:not([inert] *)").count() == 0
    page.unroute(CHECKS)  # which lets them go on
    expect(name_of(page)).to_have_value(name)
    name_of(page).fill("mine")
    expect(page.get_by_text("Ready to be submitted")).to_be_visible()
    expect(name_of(page)).to_have_value("mine")


def test_text_that_is_typed_on_while_it_is_read_is_read_again(page: Page) -> None:
    paste(page, TEXT)
    page.route(CHECKS, lambda route: None)
    with page.expect_request(CHECKS):
        page.get_by_role("tab", name="By form").click()
    page.get_by_label("Study file", exact=True).fill(TEXT.replace("by-text", "typed-on"))
    page.unroute(CHECKS)
    expect(name_of(page)).to_have_value("typed-on")


def test_the_example_is_submitted_by_keyboard_alone(page: Page, kept: Repository) -> None:
    tab_to(page, page.get_by_role("button", name="Start from the example"))
    page.keyboard.press("Enter")
    expect(name_of(page)).to_have_value("digits")
    tab_to(page, name_of(page))
    page.keyboard.press("End")
    page.keyboard.type("-by-keys")
    expect(page.get_by_text("Ready to be submitted")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Submit the study"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/studies/*", wait_until="commit")
    study = kept.study("digits-by-keys")
    assert study.id in page.url
    assert (study.state, study.desired_state) == ("created", "running")
    assert '"steps":450' in study.spec


def test_an_invalid_bound_is_told_beside_its_field_and_the_summary_gets_the_focus(page: Page) -> None:
    from_example(page, "bounds")
    error = page.get_by_role("group", name="error", exact=True)
    error.get_by_label("At least").fill("0.5")
    error.get_by_label("At most").fill("0.1")
    expect(error.locator("> .error")).to_contain_text("at_least 0.5 is above at_most 0.1")
    expect(error).to_have_attribute("aria-invalid", "true")
    name_of(page).fill("no spaces please")
    page.get_by_role("button", name="Submit the study").click()
    summary = page.locator(".summary")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Name of the study").click()
    expect(name_of(page)).to_be_focused()
    assert "use letters, digits" in page.locator(f"#{name_of(page).get_attribute('id')}-error").inner_text()
    name_of(page).fill("bounds")
    error.get_by_label("At most").fill("0.9")
    expect(page.get_by_text("Ready to be submitted")).to_be_visible()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)


def test_choices_are_narrowed_and_counted(page: Page) -> None:
    from_example(page, "narrow")
    count = page.locator("[data-count]")
    expect(count).to_contain_text("836,047,930,752 architectures")
    page.get_by_text("Narrow the choices").click()
    mixer = page.get_by_role("group", name="mixer")
    for name in ("identity", "convolution", "windowed"):
        mixer.get_by_label(name).uncheck()
    expect(count).not_to_contain_text("836,047,930,752")
    assert "mixer: [softmax]" in as_file(page)
    depth = page.get_by_role("group", name="depth")
    depth.get_by_label("Another value of depth").fill("5")
    page.keyboard.press("Enter")
    expect(depth.get_by_label("5", exact=True)).to_be_checked()
    assert "depth: [2, 3, 4, 6, 5]" in as_file(page) or "depth: [2, 3, 4, 5, 6]" in as_file(page)


def test_a_typo_in_pasted_yaml_has_a_line(page: Page) -> None:
    paste(page, TEXT.replace("batch: 32}", "batch: 32"))
    expect(page.get_by_role("button", name="Line")).to_be_visible()
    paste(page, TEXT.replace("steps: 40", "stpes: 40"))
    expect(page.locator(".line-errors")).to_contain_text("train.stpes")
    page.get_by_role("button", name="Line 7").click()
    selected = page.get_by_label("Study file", exact=True).evaluate(
        "(e) => e.value.slice(e.selectionStart, e.selectionEnd)"
    )
    assert selected == "train: {stpes: 40, batch: 32}"
    page.get_by_label("Study file", exact=True).fill(TEXT)
    expect(page.locator(".line-errors li")).to_have_count(0)
    expect(page.get_by_label("Study file", exact=True)).not_to_have_attribute("aria-invalid", "true")


def test_form_and_text_are_two_views_of_one_study(page: Page) -> None:
    paste(page, TEXT)
    page.get_by_role("tab", name="By form").click()
    expect(name_of(page)).to_have_value("by-text")
    expect(page.get_by_label("Training steps")).to_have_value("40")
    expect(page.get_by_text('no field for train.batch: that stands under "Everything else"')).to_be_visible()
    page.get_by_role("tab", name="Paste YAML").click()
    assert page.get_by_label("Study file", exact=True).input_value() == TEXT
    page.get_by_role("tab", name="By form").click()
    page.get_by_label("Training steps").fill("60")
    page.get_by_role("tab", name="Paste YAML").click()
    text = page.get_by_label("Study file", exact=True).input_value()
    assert "steps: 60" in text
    assert "batch: 32" in text
    page.get_by_label("Study file", exact=True).fill("name: [unclosed")
    page.get_by_role("tab", name="By form").click()
    expect(page.get_by_text("The form cannot show this")).to_be_visible()
    expect(page.get_by_label("Study file", exact=True)).to_have_value("name: [unclosed")


def test_a_draft_survives_a_reload(page: Page) -> None:
    from_example(page, "not-yet")
    page.get_by_label("Evaluations").fill("77")
    page.reload()
    expect(page.get_by_text("What you had typed")).to_be_visible()
    expect(name_of(page)).to_have_value("not-yet")
    expect(page.get_by_label("Evaluations")).to_have_value("77")
    page.get_by_role("button", name="Start afresh").click()
    expect(name_of(page)).to_have_value("")
    page.reload()
    expect(page.get_by_text("What you had typed by")).to_be_visible()
    expect(name_of(page)).to_have_value("")


def test_a_lost_server_loses_nothing_and_the_study_is_made_once(page: Page, kept: Repository) -> None:
    from_example(page, "once")
    keys: list[str | None] = []

    def remember(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/studies"):
            keys.append(request.headers.get("idempotency-key"))

    page.on("request", remember)
    page.route("**/api/v1/studies", lambda route: route.abort())
    page.get_by_role("button", name="Submit the study").click()
    expect(page.locator(".summary")).to_contain_text("The server does not answer")
    expect(page.locator(".summary")).to_be_focused()
    expect(name_of(page)).to_have_value("once")
    page.unroute_all()
    page.reload()
    page.get_by_role("button", name="Submit the study").click()
    page.wait_for_url("**/studies/*", wait_until="commit")
    assert len(keys) == 2
    assert keys[0] is not None
    assert keys[0] == keys[1]
    assert [study.name for study in kept.studies()].count("once") == 1


def test_an_ended_session_says_how_to_get_back_in(page: Page, visitor: BrowserContext) -> None:
    from_example(page, "after-all")
    cookies = visitor.cookies()
    visitor.clear_cookies()
    page.get_by_role("button", name="Submit the study").click()
    expect(page.locator(".summary")).to_contain_text("supernaut open")
    expect(name_of(page)).to_have_value("after-all")
    visitor.add_cookies(cookies)  # type: ignore[arg-type]
    page.get_by_role("button", name="Submit the study").click()
    page.wait_for_url("**/studies/*", wait_until="commit")


def test_a_name_that_is_taken_is_told_beside_it(page: Page) -> None:
    from_example(page, "free")
    name_of(page).fill("taken")
    expect(page.locator(f"#{name_of(page).get_attribute('id')}-error")).to_contain_text("you have a study of this name")
    page.get_by_role("button", name="Submit the study").click()
    expect(page.get_by_role("link", name="Open the study taken")).to_be_visible()


def test_a_clone_has_everything_but_the_name(page: Page, kept: Repository) -> None:
    page.goto(f"/new?from={kept.study('taken').id}")
    expect(name_of(page)).to_have_value("taken-2")
    text = as_file(page)
    assert "error: {goal: minimize, at_most: 0.05}" in text
    assert "batch: 4" in text
    assert "train" not in text  # as usual, so it is not said
    expect(page.get_by_text("Ready to be submitted")).to_be_visible()


def test_another_task_brings_what_fits_it(page: Page) -> None:
    from_example(page, "fits")
    page.get_by_label("Task").select_option("text")
    expect(page.get_by_label("Family of architectures")).to_have_value("causal_lm")
    expect(page.get_by_label("Data")).to_be_visible()
    page.get_by_label("Task").select_option("images")
    expect(page.get_by_text("supernaut data add")).to_be_visible()
