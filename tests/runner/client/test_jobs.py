"""Retraining and exporting through a server, whose worker is played by the test."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from runner.cli.source import server_of_study
from runner.store import open_repository
from runner.store.blobs import Blobs
from runner.store.records import JobClaim, NewArtifact
from supernet.export.manifest import REQUIRED, write_manifest
from tests.integration.studies import TINY
from tests.runner.service.studies import record_model

if TYPE_CHECKING:
    import pytest

    from runner.settings import Home
    from runner.store import Repository
    from tests.runner.client.conftest import Call

Work = Callable[["Repository", JobClaim], dict[str, Any] | None]


@contextmanager
def worker(home: Home, *works: Work) -> Iterator[None]:
    """Does so many jobs, one after another: each as its function says, which returns the result or None."""

    def run() -> None:
        with open_repository(home.database) as repository:
            for work in works:
                while (claim := repository.claim_job("played", 60.0)) is None:
                    if ended.wait(0.02):
                        return
                result = work(repository, claim)
                if result is not None:
                    repository.finish_job(claim, "complete", result=result)

    ended = threading.Event()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def bundle(folder: Path) -> bytes:
    """A small bundle as a worker packs it."""
    folder.mkdir()
    for name in REQUIRED[2]:
        (folder / name).write_text(f"content of {name}\n")
    write_manifest(folder, {"study": "digits"})
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return packed.getvalue()


def exporting(home: Home, content: bytes) -> Work:
    """Keeps a bundle as an artefact and names it."""

    def work(repository: Repository, claim: JobClaim) -> dict[str, Any]:
        digest = Blobs(home.artifacts_url).put_bytes(content)
        new = NewArtifact(sha256=digest, kind="bundle", bytes=len(content), uri=f"sha256:{digest}")
        artifact, _ = repository.record_artifact(claim.job.study_id, new)
        told = {"stage": "", "done": 1, "total": 2, "detail": "half\x1b[2J"}
        repository.set_job_progress(claim, {"kind": "stage.progress", **told})
        return {"bundles": {claim.job.payload["point"]: artifact.id}, "artifact": artifact.id}

    return work


def knee(call: Call) -> str:
    rows = call("front", "digits", "-o", "csv").out.splitlines()
    return next(row.split(",")[0] for row in rows if row.split(",")[2] == "True")


def test_an_export_brings_the_bundle_here(call: Call, url: str, home: Home, tmp_path: Path) -> None:
    content = bundle(tmp_path / "made")
    with worker(home, exporting(home, content)):
        answer = call("export", "digits", "knee", "--to", tmp_path / "model", "--format", "onnx-int8", "--server", url)
    assert answer.code == 0, answer.err
    assert f"wrote {tmp_path / 'model'}" in answer.out
    made = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == made
    with open_repository(home.database) as repository:
        (job,) = repository.jobs(repository.study("digits").id)
    assert job.payload == {"point": knee(call), "formats": ["onnx-int8"]}
    assert "\x1b" not in answer.err


def test_without_a_folder_it_is_named_after_study_and_architecture(
    call: Call, url: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with worker(home, exporting(home, bundle(tmp_path / "made"))):
        assert call("export", "digits", "knee", "--server", url).code == 0
    assert (tmp_path / f"digits-{knee(call)}" / "model.onnx").exists()


def test_a_file_that_is_damaged_in_the_store_is_not_unpacked(call: Call, url: str, home: Home, tmp_path: Path) -> None:
    content = bundle(tmp_path / "made")

    def damaging(repository: Repository, claim: JobClaim) -> dict[str, Any]:
        result = exporting(home, content)(repository, claim)
        (blob,) = (path for path in Path(home.artifacts_url).rglob("*") if path.is_file())
        blob.chmod(0o600)
        blob.write_bytes(content[:-1] + b"x")
        return result

    with worker(home, damaging):
        answer = call("export", "digits", "knee", "--to", tmp_path / "model", "--server", url)
    assert answer.code in (1, 5)
    assert not (tmp_path / "model").exists()


def test_a_job_that_failed_says_why(call: Call, url: str, home: Home, tmp_path: Path) -> None:
    def failing(repository: Repository, claim: JobClaim) -> None:
        repository.finish_job(claim, "failed", "the weights\x1b]0;x\x07 are gone")

    with worker(home, failing):
        answer = call("export", "digits", "knee", "--to", tmp_path / "model", "--server", url)
    assert answer.code == 6
    assert "the export failed: the weights]0;x are gone" in answer.err


def test_a_folder_of_something_else_is_refused_before_anything_is_asked(
    call: Call, url: str, home: Home, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("do not touch")
    answer = call("export", "digits", "knee", "--to", tmp_path / "model", "--server", url)
    assert answer.code == 6
    with open_repository(home.database) as repository:
        assert repository.jobs(repository.study("digits").id) == ()


def test_an_architecture_that_is_not_there(call: Call, url: str) -> None:
    assert call("export", "digits", "ffffff", "--server", url).code == 3
    assert call("retrain", "digits", "ffffff", "--server", url).code == 3


def test_ctrl_c_cancels_what_was_asked_for(call: Call, url: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.client.handles.Job.wait", interrupted)
    answer = call("retrain", "digits", "ends", "--server", url)
    assert answer.code == 130
    assert "cancelled on the server" in answer.err
    with open_repository(home.database) as repository:
        jobs = repository.jobs(repository.study("digits").id)
    assert len(jobs) > 1
    assert {job.state for job in jobs} == {"cancelled"}


def test_retrained_points_are_told_like_those_of_the_state_folder(call: Call, url: str, home: Home) -> None:
    rows = call("front", "digits", "-o", "csv").out.splitlines()[1:3]
    digests = [row.split(",")[0] for row in rows]

    def retraining(repository: Repository, claim: JobClaim) -> dict[str, Any]:
        from runner.front import read_front

        study = repository.study(claim.job.study_id)
        (point,) = read_front(study, repository).find(claim.job.payload["point"])
        record_model(repository, study, point.architecture, 0.125)
        return {"architectures": [point.architecture.digest]}

    with worker(home, retraining, retraining):
        answer = call("retrain", "digits", *digests, "--server", url)
    assert answer.code == 0, answer.err
    for digest in digests:
        assert f"{digest} error 0.1250 (retrained, validation)" in answer.out
    assert f"supernaut export digits {digests[0]} --to DIR --server {url}" in answer.out


def test_who_does_what_is_asked_of_a_study(call: Call, url: str, home: Home) -> None:
    """Studies that workers may hold are their server's business, others are worked on here."""
    context: Any = SimpleNamespace(obj=home)
    with open_repository(home.database) as repository:
        repository.create_study(
            name="submitted", spec="{}", spec_digest="d", seed=TINY.get("seed", 0), desired_state="running"
        )
    assert server_of_study(context, None, "digits") is None
    assert server_of_study(context, None, "submitted") == url
    assert server_of_study(context, "http://elsewhere", "digits") == "http://elsewhere"
    (home.path / "server.json").unlink()
    assert server_of_study(context, None, "submitted") is None
