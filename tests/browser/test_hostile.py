"""Forty hostile texts in every field that others may fill: none runs, none becomes markup, none breaks a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from runner.store import Failure, NewEvaluation, ValueRecord, open_repository
from runner.store.records import WorkerRecord
from tests.browser.serving import serving, signed_in
from tests.runner.service.studies import STAGES, create_study, record_search, start_study

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from runner.store import Repository, StudyRecord

RUN = "window.xss=1"
TEXTS = (
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f'"><img src=x onerror={RUN}>',
    f"'><img src=x onerror={RUN}>",
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<body onload={RUN}>",
    f"<iframe srcdoc='<script>{RUN}</script>'>",
    f"<iframe src=javascript:{RUN}>",
    f"javascript:{RUN}",
    f"JaVaScRiPt:{RUN}",
    f"java\tscript:{RUN}",
    f"data:text/html,<script>{RUN}</script>",
    f"<a href=javascript:{RUN}>x</a>",
    f"<math><mtext></mtext><mglyph><style><img src=x onerror={RUN}>",
    f"<details open ontoggle={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}>",
    f"<video><source onerror={RUN}>",
    f"<audio src=x onerror={RUN}>",
    f"<marquee onstart={RUN}>",
    f"<object data=javascript:{RUN}>",
    f"<embed src=javascript:{RUN}>",
    f"<form action=javascript:{RUN}><input type=submit autofocus>",
    f"<base href=javascript:{RUN}//>",
    f"<link rel=stylesheet href=javascript:{RUN}>",
    f"<style>@import 'javascript:{RUN}';</style>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"${{{RUN}}}",
    f"`-{RUN}-`",
    f"';{RUN}//",
    f'";{RUN}//',
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"%3Cscript%3E{RUN}%3C/script%3E",
    f"<!--<img src='--><img src=x onerror={RUN}//'>",
    f"\u202e<\u017fcript>{RUN}</\u017fcript>\u2028\u0085",
)
MARKUP = ", ".join(
    [*(f"[on{event}]" for event in ("error", "load", "focus", "toggle", "begin", "start")), "iframe", "object", "embed"]
)


def a_text(index: int) -> str:
    return TEXTS[index % len(TEXTS)]


def fill(repository: Repository) -> tuple[StudyRecord, str]:
    """A study whose every free text is hostile, among forty whose names, reasons, notes and tags are; a digest."""
    hostile = create_study(repository)
    start_study(repository, hostile)
    record_search(repository, hostile, 6)
    digests = []
    for index, text in enumerate(TEXTS):
        digest = f"{index + 1:012x}"
        digests.append(digest)
        values = [
            ValueRecord(metric="error", value=0.5 - index / 1000, provenance="inherited"),
            ValueRecord(metric="latency_ms", value=0.5 - index / 1000, provenance="inherited", device_id=None),
            ValueRecord(metric="model_bytes", value=5_000.0 - index, provenance="computed"),
            ValueRecord(metric=text[:64], value=1.0, provenance="inherited"),
        ]
        architecture = {
            "depth": 2,
            text: text,
            "layers.0.mixer": text,
            f"layers.0.{a_text(index + 7)}": a_text(index + 3),
        }
        repository.record_evaluation(hostile.id, a_row(digest, architecture, values=tuple(values)))
        failure = Failure(kind=text[:40], message=text)
        repository.record_evaluation(hostile.id, a_row(f"{index + 1:011x}f", architecture, failure=failure))
        repository.add_event(hostile.id, "note", {"stage": text, "message": text})
        repository.add_event(hostile.id, text[:40], {text: text})
        study = create_study_named(repository, text)
        repository.edit_study(study.id, study.revision, notes=text, tags=(text[:60],))
        start_study(repository, study, stages=())
        repository.transition_study(study.id, "running", "failed", text)
        repository.register_worker(a_worker(index, text))
    repository.edit_study(
        hostile.id, hostile.revision, notes="\n".join(TEXTS), tags=tuple(text[:60] for text in TEXTS[:16])
    )
    return hostile, digests[-1]


def create_study_named(repository: Repository, name: str) -> StudyRecord:
    """A row that no API would make, as another version or a hand might have left it."""
    spec = json.loads(repository.studies()[0].spec)
    return repository.create_study(
        name=name[:128], spec=json.dumps(spec), spec_digest="0" * 16, seed=0, device_id=None, stages=STAGES
    )


def a_row(
    digest: str,
    architecture: dict[str, object],
    values: tuple[ValueRecord, ...] = (),
    failure: Failure | None = None,
) -> NewEvaluation:
    return NewEvaluation(
        digest=digest,
        architecture_json=json.dumps(architecture),
        fidelity="inherited",
        seed=0,
        origin="search",
        values=values,
        failure=failure,
    )


def a_worker(index: int, text: str) -> WorkerRecord:
    now = datetime.now(UTC)
    return WorkerRecord(id=f"{index:032x}", name=text, version=text[:20], host=text, pid=1, started_at=now, seen_at=now)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[tuple[BrowserContext, str, str]]:
    database: Path = tmp_path_factory.mktemp("hostile") / "supernaut.db"
    with open_repository(database) as repository:
        study, digest = fill(repository)
    with serving(database) as address, signed_in(browser, address, database) as context:
        yield context, study.id, digest


def visited(context: BrowserContext, path: str, ready: str) -> Page:
    """A page with everything drawn, after it was looked at for what ran and what became markup."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("a dialog opened"), dialog.dismiss()))
    page.goto(path)
    page.locator(ready).first.wait_for()
    expect(page.locator("[aria-busy=true], .skeleton")).to_have_count(0, timeout=60_000)
    assert complaints == []
    assert page.evaluate("window.xss") is None
    assert page.evaluate("window.violations") == []
    assert page.locator(MARKUP).count() == 0
    assert page.locator("script:not([src])").count() == 0
    return page


def test_the_list_shows_them_as_text(hostile: tuple[BrowserContext, str, str]) -> None:
    context, _, _ = hostile
    page = visited(context, "/", "table.data tbody tr")
    assert "<s" in page.locator("table.data").inner_text()
    page.close()


def test_a_study_shows_them_as_text(hostile: tuple[BrowserContext, str, str]) -> None:
    context, study, _ = hostile
    page = visited(context, f"/studies/{study}", "#failures-panel li")
    text = page.locator("main").inner_text()
    for part in (TEXTS[0], TEXTS[2], TEXTS[11]):
        assert part in text
    page.locator("#scatter-pickers select").nth(2).select_option(index=8)  # colour by a hostile name
    page.locator("#rows-pickers summary").click()
    for box in page.locator("#rows-pickers .checks input").all()[:12]:
        box.check()
    assert page.evaluate("window.xss") is None
    assert page.locator(MARKUP).count() == 0
    page.close()


@pytest.mark.parametrize("path", ["architectures/{digest}", "compare?points={digest},{other}"])
def test_architectures_show_them_as_text(hostile: tuple[BrowserContext, str, str], path: str) -> None:
    context, study, digest = hostile
    address = f"/studies/{study}/{path.format(digest=digest, other=f'{3:012x}')}"
    visited(context, address, "main svg").close()


def test_the_form_shows_a_hostile_study_as_text(hostile: tuple[BrowserContext, str, str]) -> None:
    context, study, _ = hostile
    page = visited(context, f"/new?from={study}", "form")
    page.close()


@pytest.mark.parametrize("index", range(0, len(TEXTS), 5))
def test_in_the_address_they_are_refused_or_text(hostile: tuple[BrowserContext, str, str], index: int) -> None:
    context, study, _ = hostile
    page = context.new_page()
    names = ("x", "y", "colour", "select", "point", "pick", "sort", "columns", "within")
    page.goto(f"/studies/{study}?{urlencode(dict.fromkeys(names, TEXTS[index]))}")
    page.locator("#content:not([hidden])").wait_for()
    assert page.evaluate("window.xss") is None
    assert page.evaluate("window.violations") == []
    assert page.locator(MARKUP).count() == 0
    page.close()
