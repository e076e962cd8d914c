"""Whatever is asked of the API, it answers as its description says."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable

from tests.runner.service.callers import ADMIN

if TYPE_CHECKING:
    from fastapi import FastAPI

    from runner.store import Repository

HOST = {"Host": "127.0.0.1:8000"}
REAL = {"study": "digits", "digest": "knee"}  # beside whatever is made up


@pytest.mark.slow
def test_whatever_is_asked_the_answer_is_a_documented_one(service: FastAPI, digits: Repository) -> None:
    del digits
    import schemathesis  # which takes longer to import than most tests take

    schema = schemathesis.openapi.from_asgi("/openapi.json", service, headers={**ADMIN.headers, **HOST})
    asked: Counter[str] = Counter()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):  # which do not end
            continue
        names = {parameter.name for parameter in operation.path_parameters}
        real = {name: value for name, value in REAL.items() if name in names}
        for mode, values in itertools.product(schemathesis.GenerationMode, [None, real] if real else [None]):
            try:
                cases = operation.as_strategy(generation_mode=mode, path_parameters=values)
                _ask(cases, asked)
            except (SkipTest, Unsatisfiable):
                continue  # nothing can be wrong in a request without parameters
    assert len(asked) > 25
    assert sum(asked.values()) > 200


def _ask(cases: Any, asked: Counter[str]) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    wanted = [not_a_server_error, checks.status_code_conformance]
    wanted += [checks.content_type_conformance, checks.response_schema_conformance]

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
        case.call_and_validate(headers={**ADMIN.headers, **HOST}, checks=wanted)

    ask()
