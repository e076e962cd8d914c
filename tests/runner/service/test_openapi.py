"""The description of the API: kept in the repository, and true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from runner.service.problems import CODES
from runner.service.routes.common import API
from tests.runner.service.requests_for import operations

if TYPE_CHECKING:
    from fastapi import FastAPI

ROOT = Path(__file__).parents[3]


def test_the_document_in_the_repository_is_this_one(service: FastAPI) -> None:
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert kept == service.openapi(), "write it again: python -m runner.service.openapi > docs/openapi.json"


def test_every_operation_is_under_the_version_and_says_what_it_answers(service: FastAPI) -> None:
    document = service.openapi()
    for path, methods in document["paths"].items():
        assert path.startswith(f"{API}/") or path in ("/healthz", "/readyz", "/metrics")
        for operation in methods.values():
            assert operation["summary"]
            assert operation.get("security") == (None if path in ("/healthz", "/readyz") else [{"token": []}])
            assert {"421", "500", "503"} <= set(operation["responses"])
    assert len({operation.name for operation in operations(service)}) == len(operations(service))
    text = json.dumps(document)
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in document["components"]["schemas"]


def test_every_code_is_documented_with_its_status() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", page, flags=re.M))
    assert {code: int(status) for code, status in rows.items()} == {code: status for code, (status, _) in CODES.items()}


def test_every_route_is_documented_in_words(service: FastAPI) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for operation in operations(service):
        assert f"`{operation.method} {operation.path.removeprefix(API)}`" in page, operation
