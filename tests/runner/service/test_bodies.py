"""What a body may be: bounded, sound, never repeated in an answer."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from runner.service import guard
from runner.service.limits import MAX_BODY_BYTES, MAX_YAML_BYTES
from runner.service.problems import FiniteJSONResponse
from tests.runner.service.requests_for import SPEC, operations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from runner.store import Repository

JSON = {"content-type": "application/json"}
YAML = {"content-type": "application/yaml"}

UNSOUND = {
    "nan": b'{"spec": {"seed": NaN}}',
    "infinity": b'{"spec": {"seed": -Infinity}}',
    "large": b'{"spec": {"seed": 1e999}}',
    "digits": b'{"spec": {"seed": ' + b"9" * 5000 + b"}}",
    "fraction": b'{"spec": {"seed": 0.' + b"9" * 5000 + b"}}",
    "twice": b'{"spec": {}, "spec": {}}',
    "deep": b'{"spec": ' + b"[" * 400_000,
    "nested": b'{"spec": ' + b"[" * 200 + b"]" * 200 + b"}",
    "many": b'{"spec": [' + b"0," * 20_000 + b"0]}",
    "cut": b'{"spec": ',
    "nothing": b"",
    "bytes": b"\xff\xfe\x00",
    "surrogate": b'{"spec": {"name": "\\ud800"}}',
    "nul": b'{"spec": {"name": "a\\u0000"}}',
    "key": b'{"spec": {"a\\u0000": 1}}',
    "text": b'"spec"',
    "list": b"[]",
    "null": b"null",
    "number": b"1",
    "more": b'{"spec": {}, "x": 1}',
}


def test_an_unsound_document_is_a_problem_on_every_route(client: TestClient, service: FastAPI) -> None:
    for name in UNSOUND:
        for operation in operations(service):
            if operation.body is not None:
                began = time.monotonic()
                answer = client.request(operation.method, operation.at(), content=UNSOUND[name], headers=JSON)
                if operation.name == "create_link" and name == "null":
                    continue
                assert answer.status_code in (400, 404, 422), (operation, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                assert len(answer.content) < 5000
                assert time.monotonic() - began < 10


def test_a_body_that_is_too_large_is_not_read(client: TestClient, service: FastAPI) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(10):
            yield b" " * (MAX_BODY_BYTES // 5)

    for operation in operations(service):
        if operation.is_unsafe:
            for content in (b" " * (MAX_BODY_BYTES + 1), parts()):
                answer = client.request(operation.method, operation.at(), content=content, headers=JSON)
                assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), operation


@pytest.mark.parametrize("length", ["99999999999999999999", "1000001"])
def test_a_body_that_says_it_is_too_large_is_believed(client: TestClient, length: str) -> None:
    headers = {**JSON, "content-length": length}
    assert client.post("/api/v1/studies", content=b"{}", headers=headers).status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: object) -> bytes:
        raise TimeoutError

    monkeypatch.setattr(guard, "_read", never)
    assert client.post("/api/v1/studies", json={}).json()["code"] == "too_slow"


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    headers = {**JSON, "content-encoding": "gzip"}
    assert client.post("/api/v1/studies", content=b"{}", headers=headers).status_code == 415


BILLION_LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "aliases": BILLION_LAUGHS,
    "merge": "a: &a {b: 1}\nc: {<<: *a}\n",
    "itself": "a: &a [*a]",
    "twice": "name: a\nname: b\n",
    "object": "name: !!python/object/apply:os.system ['true']",
    "module": "name: !!python/name:os.system",
    "flow": "[" * 30_000,
    "nested": "- " * 5_000 + "a",
    "quoted": '"' + "\\x00" * 1000 + '"',
    "tag": "!!binary aGVsbG8=",
    "date": "name: 2026-02-30",
    "when": "name: 2026-02-03",
    "set": "name: !!set {a, b}",
    "nan": "seed: .nan",
    "infinity": "seed: -.inf",
    "keys": "? [a, b]\n: 1",
    "number key": "1: 2",
    "control": "name: \x01",
    "two": "a: 1\n---\nb: 2\n",
    "list": "[1, 2]",
    "nothing": "",
    "text": "just words",
    "colon": "a: b: c",
}


def test_a_yaml_bomb_is_a_problem(client: TestClient, repository: Repository) -> None:
    for name in BOMBS:
        began = time.monotonic()
        answer = client.post("/api/v1/studies", content=BOMBS[name].encode(), headers=YAML)
        assert answer.status_code in (400, 422), answer.text
        assert answer.json()["code"] in ("bad_yaml", "invalid")
        assert len(answer.content) < 3000
        assert time.monotonic() - began < 10
        assert repository.studies() == ()


def test_a_yaml_of_many_keys_is_too_large(client: TestClient) -> None:
    for count in (8_000, 200_000):
        text = "".join(f"k{index}: 1\n" for index in range(count))[: MAX_BODY_BYTES - 1]
        began = time.monotonic()
        answer = client.post("/api/v1/studies", content=text.encode(), headers=YAML)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert time.monotonic() - began < 10
    keys = "".join(f"k{index}: 1\n" for index in range(20_000))[: MAX_YAML_BYTES - 1].rpartition("\n")[0]
    began = time.monotonic()
    assert client.post("/api/v1/studies", content=keys.encode(), headers=YAML).status_code == 422
    assert time.monotonic() - began < 20


CANARY = "canary-7919"


def test_no_answer_repeats_what_was_given(client: TestClient) -> None:
    for spec in (
        {**SPEC, "name": f"{CANARY} {CANARY}"},
        {**SPEC, "seed": CANARY},
        {**SPEC, "train": {"steps": CANARY}},
        {**SPEC, "objectives": {"error": {"goal": CANARY}}},
        {**SPEC, "search": {"workers": CANARY}},
    ):
        answer = client.post("/api/v1/studies", json={"spec": spec})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"]
        assert CANARY not in answer.text
    for asked in ({"name": "t", "scopes": [CANARY]}, {"name": "t", "scopes": CANARY}):
        assert CANARY not in client.post("/api/v1/tokens", json=asked).text


def test_a_problem_says_which_request_it_was(client: TestClient) -> None:
    answer = client.get("/api/v1/studies/nobody", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine-1"
    for given in ("a" * 65, "a b", "<script>", ""):
        answer = client.get("/api/v1/studies/nobody", headers={"x-request-id": given})
        assert answer.headers["x-request-id"] == answer.json()["request_id"] != given
    problem = answer.json()
    assert problem["status"] == 404
    assert problem["instance"] == "/api/v1/studies/nobody"
    assert problem["type"] == f"urn:supernaut:problem:{problem['code']}"


def test_a_number_that_is_not_finite_never_breaks_an_answer() -> None:
    content = {"a": [float("nan"), 1.5, {"b": float("-inf")}], "c": "\ud800"}
    body = FiniteJSONResponse(content).body
    assert json.loads(bytes(body)) == {"a": [None, 1.5, {"b": None}], "c": "\ud800"}


def test_a_stage_s_detail_with_nan_is_answered(client: TestClient, digits: Repository, database: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE stage SET detail = '{\"loss\": NaN, \"more\": [Infinity]}' WHERE name = 'train'")
    stage = client.get("/api/v1/studies/digits/stages").json()["items"][0]
    assert stage["detail"] == {"loss": None, "more": [None]}
    assert digits.study("digits").state == "complete"
