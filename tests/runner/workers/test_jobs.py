"""What an export says of the bundles that it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from predictors.errors import TimingError
from runner.settings import Home
from runner.verify import Check, Scope
from runner.workers import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGESTS = ("aaaa00000000", "bbbb00000000")
FOUND = Check(check="digests", state="ok", found="9 files as they were written")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study at work whose points export themselves, each as the artefact of its digest."""
    points = [SimpleNamespace(architecture=SimpleNamespace(digest=digest)) for digest in DIGESTS]
    monkeypatch.setattr(jobs, "choose", lambda front, names: points if names == ["ends"] else points[:1])
    monkeypatch.setattr(jobs, "default_folder", lambda work, architecture: tmp_path / architecture.digest)
    monkeypatch.setattr(jobs, "export_point", lambda work, architecture, folder, formats: folder)
    monkeypatch.setattr(jobs, "keep_bundle", lambda work, folder: f"of {folder.name}")
    reporter = SimpleNamespace(progress=lambda *_: None, note=lambda _: None)
    return SimpleNamespace(front=list, reporter=reporter, pause_if_asked=lambda: None, home=Home(tmp_path))


def job(point: str) -> Any:
    return SimpleNamespace(kind="export", payload={"point": point, "formats": None})


def test_every_bundle_is_verified_where_it_lies(work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[tuple[Path, Scope]] = []

    def examine(folder: Path, home: Home, scope: Scope) -> Iterator[Check]:
        assert home.path == tmp_path
        looked.append((folder, scope))
        yield FOUND

    monkeypatch.setattr(jobs, "examine", examine)
    result = jobs.do(job("ends"), work)
    told = [{"check": "digests", "state": "ok", "found": "9 files as they were written"}]
    assert result == {
        "bundles": {digest: f"of {digest}" for digest in DIGESTS},
        "checks": dict.fromkeys(DIGESTS, told),
    }
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert [folder.name for folder, _ in looked] == list(DIGESTS)
    assert all(scope == Scope(latency=True, quality=True, run_code=False) for _, scope in looked)
    assert jobs.do(job("knee"), work)["artifact"] == f"of {DIGESTS[0]}"


def test_an_examination_that_cannot_be_finished_is_told_and_the_bundle_stays(
    work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def examine(*_: object) -> Iterator[Check]:
        yield FOUND
        raise TimingError("the timing process ended")

    monkeypatch.setattr(jobs, "examine", examine)
    result = jobs.do(job("knee"), work)
    assert result["artifact"] == f"of {DIGESTS[0]}"
    found = result["checks"][DIGESTS[0]]
    assert [(each["check"], each["state"]) for each in found] == [("digests", "ok"), ("examination", "failed")]
    assert found[-1]["found"] == "the timing process ended"


def test_a_folder_that_is_no_bundle_is_found_out(work: Any, tmp_path: Path) -> None:
    (tmp_path / DIGESTS[0]).mkdir()
    (found,) = jobs.do(job("knee"), work)["checks"][DIGESTS[0]]
    assert (found["check"], found["state"]) == ("files", "failed")
