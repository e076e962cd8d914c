"""The description of the API: kept in the repository, and true."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from runner.service.problems import CODES
from runner.service.routes.common import API
from tests.runner.service.callers import ADMIN
from tests.runner.service.requests_for import operations

if TYPE_CHECKING:
    from fastapi import FastAPI

    from runner.store import Repository

ROOT = Path(__file__).parents[3]
HOST = {"Host": "127.0.0.1:8000"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


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


REAL = {"study": "digits", "digest": "knee"}  # beside whatever is made up


@pytest.mark.slow
def test_whatever_is_asked_the_answer_is_a_documented_one(service: FastAPI, digits: Repository) -> None:
    del digits
    schema = schemathesis.openapi.from_asgi("/openapi.json", service, headers={**ADMIN.headers, **HOST})
    asked: Counter[str] = Counter()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):  # which do not end
            continue
        names = {parameter.name for parameter in operation.path_parameters}
        real = {name: value for name, value in REAL.items() if name in names}
        for mode, values in itertools.product(GenerationMode, [None, real] if real else [None]):
            try:
                cases = operation.as_strategy(generation_mode=mode, path_parameters=values)
                _ask(cases, asked)
            except (SkipTest, Unsatisfiable):
                continue  # nothing can be wrong in a request without parameters
    assert len(asked) > 25
    assert sum(asked.values()) > 200


def _ask(cases: Any, asked: Counter[str]) -> None:
    @examples(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def ask(case: Any) -> None:
        if case.operation.path == "/api/v1/studies/{study}" and case.method == "DELETE":
            case.path_parameters = {"study": "nobody"}
        asked[f"{case.method} {case.operation.path}"] += 1
        case.call_and_validate(headers={**ADMIN.headers, **HOST}, checks=CHECKS)

    ask()
