"""Jobs and files over the API."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from runner.front import read_front
from runner.service.routes import jobs
from runner.store import NewArtifact
from runner.store.blobs import Blobs
from tests.runner.service.callers import ADMIN
from tests.runner.service.conftest import HERE

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from runner.settings import Home
    from runner.store import Repository

JOBS = "/api/v1/studies/digits/jobs"


def test_a_job_is_queued_looked_at_and_cancelled(client: TestClient, digits: Repository) -> None:
    answer = client.post(JOBS, json={"kind": "export", "formats": ["onnx", "source"]})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["state"], job["payload"]) == ("queued", {"point": "knee", "formats": ["onnx", "source"]})
    assert client.get(answer.headers["location"]).json() == job
    assert client.get(JOBS).json()["items"] == [job]
    for _ in range(2):
        cancelled = client.patch(answer.headers["location"], json={"desired_state": "cancelled"})
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert digits.job(job["id"]).state == "cancelled"
    assert client.patch(answer.headers["location"], json={"desired_state": "running"}).status_code == 422


def test_a_job_that_is_over_is_not_cancelled(client: TestClient, digits: Repository) -> None:
    job = client.post(JOBS, json={"kind": "retrain"}).json()
    claim = digits.claim_job("w1", 60.0)
    assert claim is not None
    digits.finish_job(claim, "failed", "no luck", None)
    answer = client.patch(f"/api/v1/jobs/{job['id']}", json={"desired_state": "cancelled"})
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert client.get(f"/api/v1/jobs/{job['id']}").json()["reason"] == "no luck"


def test_the_same_job_with_the_same_key_is_queued_once(client: TestClient, digits: Repository) -> None:
    headers = {"idempotency-key": "k"}
    answers = [client.post(JOBS, json={"kind": "export"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert client.post(JOBS, json={"kind": "retrain"}, headers=headers).json()["code"] == "idempotency_mismatch"
    assert len(digits.jobs(digits.study("digits").id)) == 1


def test_what_is_no_job_is_refused(client: TestClient, digits: Repository) -> None:
    for asked in [
        {},
        {"kind": "delete"},
        {"kind": "export", "point": "../x"},
        {"kind": "export", "point": "abc"},
        {"kind": "export", "point": ["knee"]},
        {"kind": "export", "formats": []},
        {"kind": "export", "formats": ["onxx"]},
        {"kind": "export", "formats": ["../../x"]},
        {"kind": "retrain", "formats": ["onnx"]},
        {"kind": "export", "to": "/"},
    ]:
        assert client.post(JOBS, json=asked).json()["code"] == "invalid"
        assert digits.jobs(digits.study("digits").id) == ()


def test_a_point_is_one_that_was_evaluated(client: TestClient, digits: Repository) -> None:
    front = read_front(digits.study("digits"), digits)
    digest = front.points[0].architecture.digest
    assert client.post(JOBS, json={"kind": "export", "point": digest[:6]}).status_code == 202
    assert client.post(JOBS, json={"kind": "export", "point": "ends"}).status_code == 202
    assert client.post(JOBS, json={"kind": "export", "point": "ffffffff"}).json()["code"] == "point_not_found"


def test_not_any_number_of_jobs_waits(client: TestClient, digits: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_WAITING_JOBS", 2)
    for status in (202, 202, 429):
        answer = client.post(JOBS, json={"kind": "export"})
        assert answer.status_code == status
    assert "retry-after" in answer.headers
    digits.cancel_job(client.get(JOBS).json()["items"][0]["id"])
    assert client.post(JOBS, json={"kind": "export"}).status_code == 202


CONTENT = bytes(range(256)) * 3000


@pytest.fixture
def artifact(digits: Repository, home: Home) -> str:
    """The address of a file."""
    sha256 = Blobs(home.artifacts_url).put_bytes(CONTENT)
    study = digits.study("digits")
    made = NewArtifact(sha256=sha256, kind="bundle", bytes=len(CONTENT), uri=f"sha256:{sha256}")
    return f"/api/v1/artifacts/{digits.record_artifact(study.id, made)[0].id}"


def test_a_file_is_handed_out_to_be_kept(client: TestClient, artifact: str) -> None:
    answer = client.get(artifact)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "application/octet-stream"
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert answer.headers["content-disposition"] == f'attachment; filename="bundle-{digest[:12]}.zip"'
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    (listed,) = client.get("/api/v1/studies/digits/artifacts").json()["items"]
    assert (listed["bytes"], listed["sha256"]) == (len(CONTENT), digest)
    assert "uri" not in listed


def test_a_part_is_that_part(client: TestClient, artifact: str) -> None:
    for range, first, last in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=700000-", 700_000, None),
        ("bytes=-5", -5, None),
        ("bytes=-99999999", 0, None),
        ("bytes=767999-999999999", 767_999, None),
    ]:
        answer = client.get(artifact, headers={"range": range})
        assert (answer.status_code, answer.content) == (206, CONTENT[first:last])
        begin = first % len(CONTENT)
        assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(answer.content) - 1}/{len(CONTENT)}"
        whole = client.get(artifact, headers={"range": range, "if-range": '"other"'})
        assert (whole.status_code, whole.content) == (200, CONTENT)


def test_what_is_no_single_part_is_the_whole(client: TestClient, artifact: str) -> None:
    for range in ["bytes=5-1", "bytes=", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "0-1"]:
        assert client.get(artifact, headers={"range": range}).status_code == 200


def test_what_the_file_does_not_have_is_a_problem(client: TestClient, artifact: str) -> None:
    for range in ["bytes=768000-", "bytes=999999999-", "bytes=-0"]:
        answer = client.get(artifact, headers={"range": range})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


def test_a_damaged_file_does_not_arrive_whole(service: FastAPI, artifact: str, home: Home) -> None:
    (file,) = [path for path in (home.path / "artifacts").rglob("*") if path.is_file()]
    file.chmod(0o600)
    file.write_bytes(CONTENT[:-1] + b"x")
    with (
        TestClient(service, base_url=HERE, headers=ADMIN.headers) as client,
        pytest.raises(OSError, match="damaged"),
    ):
        client.get(artifact)


def test_a_file_that_is_gone_is_told(client: TestClient, artifact: str, home: Home, digits: Repository) -> None:
    for path in (home.path / "artifacts").rglob("*"):
        if path.is_file():
            path.unlink()
    answer = client.get(artifact)
    assert (answer.status_code, answer.json()["code"]) == (410, "artifact_gone")
    secret = home.path / "secret"
    secret.write_text("secret", encoding="utf-8")
    old = NewArtifact(sha256="0" * 64, kind="onnx", bytes=6, uri=str(secret))
    row, _ = digits.record_artifact(digits.study("digits").id, old)
    assert client.get(f"/api/v1/artifacts/{row.id}").json()["code"] == "artifact_gone"


def test_no_address_is_a_path(client: TestClient, artifact: str, home: Home) -> None:
    for name in [
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%5c..%5c",
        "%2fetc%2fpasswd",
        "C:",
        "%00",
        "g%23b",
        "a%3Fb",
        "\u2025",
        "sha256",
        "0" * 65,
        "supernaut.db",
        "token",
    ]:
        for place in ["/api/v1/artifacts/", "/api/v1/jobs/", "/api/v1/studies/", "/static/", "/studies/"]:
            (home.path / "token").write_text("secret", encoding="utf-8")
            answer = client.get(f"{place}{name}")
            assert answer.status_code in (400, 404, 405, 422), answer.text
            assert "secret" not in answer.text
            assert "root:" not in answer.text


def test_a_kind_never_leaves_its_quotes(client: TestClient, digits: Repository, home: Home, tmp_path: Path) -> None:
    sha256 = Blobs(home.artifacts_url).put_bytes(b"abc")
    kind = 'a"; filename="b.html\r\nset-cookie: x=1\u202e../'
    made = NewArtifact(sha256=sha256, kind=kind, bytes=3, uri=f"sha256:{sha256}")
    row, _ = digits.record_artifact(digits.study("digits").id, made)
    answer = client.get(f"/api/v1/artifacts/{row.id}")
    assert answer.headers["content-disposition"].endswith(f'-{sha256[:12]}.bin"')
    assert answer.headers["content-disposition"].count('"') == 2
    assert "set-cookie" not in answer.headers
