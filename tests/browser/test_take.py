"""Taking a model home: asked for in the page, done by a worker of the test, downloaded byte by byte."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from runner.service.auth import new_token
from runner.settings import Home
from runner.store import Repository, StoreError, ValueRecord
from runner.store.blobs import Blobs
from runner.store.records import JobClaim, NewArtifact, WorkerRecord
from search_spaces import Architecture
from tests.browser.architectures import record_group
from tests.runner.service.studies import an_evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.store import StudyRecord
    from tests.browser.conftest import Watched

ONE = Architecture({"depth": 2, "layers.0.mixer": "softmax", "layers.1.mixer": "linear"})
OTHER = Architecture({"depth": 2, "layers.0.mixer": "linear", "layers.1.mixer": "linear"})
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
CHECKS = [
    {"check": "digests", "state": "ok", "found": "9 files as they were written"},
    {"check": "latency", "state": "flagged", "found": f"2 ms is SLOWER {HOSTILE}"},
    {"check": "quality onnx", "state": "failed", "found": "error 0.5"},
    {"check": "parity source", "state": "skipped", "found": "not run"},
]


@dataclass
class Worker:
    """A worker that does what the test says, through the record alone."""

    repository: Repository
    study: StudyRecord
    home: Home
    id: str

    def begin(self) -> None:
        """Be alive."""
        now = datetime.now(UTC)
        worker = WorkerRecord(
            id=self.id, name="of a test", version="0", host="here", pid=1, started_at=now, seen_at=now
        )
        self.repository.register_worker(worker)

    def claim(self) -> JobClaim:
        """Take the oldest job of the study; those of others are let go."""
        others = []
        while (claim := self.repository.claim_job(self.id, 60)) is not None and claim.job.study_id != self.study.id:
            others.append(claim)
        for other in others:
            self.repository.release_job(other)
        assert claim is not None
        return claim

    def progress(self, claim: JobClaim, done: int, total: int, detail: str) -> None:
        told = {"kind": "stage.progress", "stage": "retrain", "done": done, "total": total, "detail": detail}
        self.repository.set_job_progress(claim, told)

    def finish(self, claim: JobClaim, content: bytes, checks: list[dict[str, str]] = CHECKS) -> str:
        """Leave a bundle and its numbers; the SHA-256."""
        digest = Blobs(self.home.artifacts_url).put_bytes(content)
        new = NewArtifact(sha256=digest, kind="bundle", bytes=len(content), uri=f"sha256:{digest}")
        artifact, _ = self.repository.record_artifact(self.study.id, new)
        values = [
            ValueRecord(metric="error", value=0.0321, provenance="exported"),
            ValueRecord(metric="file_bytes", value=131_072.0, provenance="exported"),
        ]
        self.repository.record_evaluation(self.study.id, an_evaluation(ONE, *values, fidelity="exported"))
        result = {"bundles": {ONE.digest: artifact.id}, "artifact": artifact.id, "checks": {ONE.digest: checks}}
        self.repository.finish_job(claim, "complete", result=result)
        return digest


@pytest.fixture
def look() -> tuple[str, int]:
    """One width, but for the tests that name others."""
    return ("light", 1280)


@pytest.fixture
def worker(repository: Repository, database: Path) -> Iterator[Worker]:
    """A worker that is not alive yet, for a study of its own."""
    number = len(repository.studies())
    study = record_group(repository, f"take-{number}", [ONE, OTHER])
    yield Worker(repository=repository, study=study, home=Home(database.parent), id=f"{number:032x}")
    with suppress(StoreError):
        repository.stop_worker(f"{number:032x}")
    for job in repository.jobs(study.id):
        if job.state in ("queued", "running"):
            repository.cancel_job(job.id)


def opened(page: Page, worker: Worker) -> Locator:
    """The part of the page that is tested."""
    page.goto(f"/studies/{worker.study.id}/architectures/{ONE.digest}#take")
    take = page.locator("#take-panel")
    expect(take.get_by_role("group", name="Formats")).to_be_visible()
    return take


def test_an_export_is_asked_for_watched_and_downloaded(watched: Watched, worker: Worker) -> None:
    page = watched.page
    for each in worker.repository.workers():
        worker.repository.stop_worker(each.id)
    take = opened(page, worker)
    expect(take.get_by_label("onnx", exact=True)).to_be_disabled()
    expect(take.get_by_label("onnx", exact=True)).to_be_checked()
    take.get_by_label("onnx-int8", exact=True).check()
    take.get_by_role("button", name="Export").click()
    card = take.locator("[data-job]")
    expect(card).to_have_attribute("data-state", "queued")
    expect(card).to_contain_text("No worker is alive: start one with `supernaut worker`")
    worker.begin()
    expect(card).to_contain_text("It waits for 1 worker")
    claim = worker.claim()
    assert claim.job.payload == {"point": ONE.digest, "formats": ["onnx", "onnx-int8"]}
    worker.progress(claim, 3, 40, f"trial 1 of 2 {HOSTILE}")
    expect(card).to_have_attribute("data-state", "running")
    expect(card.get_by_role("progressbar")).to_have_attribute("value", "3")
    expect(card).to_contain_text("3 of 40, trial 1 of 2")

    content = bytes(range(256)) * 40
    sha256 = worker.finish(claim, content)
    expect(card).to_have_attribute("data-state", "complete")
    expect(card).to_contain_text(sha256)
    expect(card.get_by_text("3.210 %")).to_be_visible()
    expect(page.locator('[data-metric="error"]')).to_contain_text("exported")
    with page.expect_download() as told:
        card.get_by_role("link", name="Download the bundle, 10.24 kB").click()
    assert told.value.path().read_bytes() == content
    assert told.value.suggested_filename == f"bundle-{sha256[:12]}.zip"
    assert hashlib.sha256(content).hexdigest() == sha256
    for check, words in (
        ("digests", "ok"),
        ("latency", "flagged"),
        ("quality onnx", "failed"),
        ("parity source", "skipped"),
    ):
        expect(card.locator(f'[data-check="{check}"]')).to_contain_text(words)
    expect(card).to_contain_text("1 check of 4 failed: do not use these files")
    expect(card).to_contain_text("131.1 kB")
    expect(card).to_contain_text("supernaut verify model")
    expect(card).to_contain_text("onnxruntime.InferenceSession")
    assert page.locator("main script, img[src=x]").count() == 0
    assert watched.all_complaints() == []


def test_a_job_survives_a_reload_and_a_lost_server(watched: Watched, worker: Worker) -> None:
    page = watched.page
    worker.begin()
    take = opened(page, worker)
    take.get_by_role("button", name="Retrain only").click()
    card = page.locator("#take-panel [data-job]")
    expect(card).to_have_attribute("data-state", "queued")
    claim = worker.claim()
    worker.progress(claim, 5, 10, "halfway")
    page.reload()
    expect(card).to_have_attribute("data-state", "running")
    expect(card).to_contain_text("5 of 10")
    page.route("**/api/v1/**", lambda route: route.abort())
    expect(take).to_contain_text("The server does not answer")
    expect(card).to_contain_text("5 of 10")
    worker.repository.finish_job(claim, "complete", result={"architectures": [ONE.digest]})
    page.unroute_all()
    expect(card).to_have_attribute("data-state", "complete")
    expect(card).to_contain_text("Retrained")
    expect(take).not_to_contain_text("The server does not answer")


def test_a_job_is_cancelled(watched: Watched, worker: Worker) -> None:
    page = watched.page
    worker.begin()
    take = opened(page, worker)
    take.get_by_role("button", name="Export").click()
    card = take.locator("[data-job]")
    expect(card).to_have_attribute("data-state", "queued")
    claim = worker.claim()
    expect(card).to_have_attribute("data-state", "running")
    card.get_by_role("button", name="Cancel").click()
    expect(card).to_have_attribute("data-state", "cancelled")
    assert worker.repository.job(claim.job.id).state == "cancelled"
    assert worker.repository.renew_job(claim, 60) == "cancelled"
    assert watched.all_complaints() == []


def test_a_failure_has_its_reason_and_is_tried_again(watched: Watched, worker: Worker) -> None:
    page = watched.page
    worker.begin()
    take = opened(page, worker)
    take.get_by_label("onnx-fp16", exact=True).check()
    take.get_by_role("button", name="Export").click()
    cards = take.locator("[data-job]")
    expect(cards).to_have_count(1)
    worker.repository.finish_job(worker.claim(), "failed", f"loss is nan {HOSTILE}")
    expect(cards).to_have_attribute("data-state", "failed")
    expect(cards).to_contain_text(f"It failed: loss is nan {HOSTILE}")
    cards.get_by_role("button", name="Try again").click()
    expect(cards).to_have_count(2)
    expect(cards.first).to_have_attribute("data-state", "queued")
    again = worker.claim()
    assert again.job.payload["formats"] == ["onnx", "onnx-fp16"]
    worker.finish(again, b"a bundle", [CHECKS[0]])
    expect(cards.first).to_contain_text("Verified: nothing is wrong in 1 check")
    assert watched.all_complaints() == []


def test_a_request_that_was_heard_but_not_answered_is_carried_out_once(watched: Watched, worker: Worker) -> None:
    page = watched.page
    take = opened(page, worker)
    keys: list[str | None] = []

    def lose_the_first(route: Any) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) == 1:
            route.fetch()  # the server does it, and the answer never comes
            route.abort()
        else:
            route.continue_()

    page.route(
        f"**/studies/{worker.study.id}/jobs",
        lambda route: lose_the_first(route) if route.request.method == "POST" else route.continue_(),
    )
    take.get_by_role("button", name="Export").click()
    expect(take).to_contain_text("The server does not answer")
    take.get_by_role("button", name="Export").click()
    expect(take).to_contain_text("Asked for: export.")
    expect(take.locator("[data-job]")).to_have_count(1)
    assert len(worker.repository.jobs(worker.study.id)) == 1
    assert len(set(keys)) == 1
    assert keys[0]


def test_who_may_only_read_sees_files_and_why_there_is_no_button(
    stranger: BrowserContext, worker: Worker, address: str
) -> None:
    record, session = new_token(owner="local", name="reads", scopes=["read"], kind="session", now=datetime.now(UTC))
    worker.repository.create_token(record)
    name = f"supernaut_{address.rpartition(':')[2]}"
    stranger.add_cookies([{"name": name, "value": session, "url": address, "httpOnly": True, "sameSite": "Strict"}])
    worker.repository.create_job(worker.study.id, "export", {"point": ONE.digest[:8], "formats": None})
    worker.finish(worker.claim(), b"a bundle")
    take = opened(stranger.new_page(), worker)
    expect(take.get_by_role("link", name="Download the bundle")).to_be_visible()
    expect(take).to_contain_text("jobs need the scope submit, and this session has read")
    expect(take.get_by_role("button", name="Export")).to_have_count(0)
    expect(take.get_by_role("button", name="Retrain")).to_have_count(0)


def test_jobs_of_other_architectures_are_not_shown(watched: Watched, worker: Worker) -> None:
    payloads = [{"point": OTHER.digest}, {"point": ONE.digest[:6]}, {"point": "knee"}, {"point": "ends"}]
    for payload in payloads:
        worker.repository.create_job(worker.study.id, "retrain", payload)
    page = watched.page
    knee = page.request.get(f"/api/v1/studies/{worker.study.id}/front").json()["knee"]
    take = opened(page, worker)
    expect(take.locator("[data-job]")).to_have_count(2 if knee == ONE.digest else 1)


def test_it_can_be_typed_instead(watched: Watched, worker: Worker) -> None:
    page = watched.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    take = opened(page, worker)
    take.get_by_label("source", exact=True).check()
    take.get_by_role("button", name="Copy as command").click()
    expect(take.get_by_text("Copied")).to_be_visible()
    name = worker.study.name
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"supernaut export {name} {ONE.digest} --to model --format onnx --format source"
    take.get_by_role("button", name="Copy as Python").click()
    text = f'folder = study.export({json.dumps(ONE.digest)}, formats=["onnx", "source"], to="model")'
    page.wait_for_function("async (wanted) => (await navigator.clipboard.readText()).includes(wanted)", arg=text)
    compile(page.evaluate("navigator.clipboard.readText()"), "copied", "exec")
