"""The application: its parts put together, what runs beside the requests, and which error is answered how."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from runner.dashboard.pages import STATIC
from runner.service.answers import answer_problem
from runner.service.fronts import Fronts
from runner.service.guard import Guard
from runner.service.hub import Hub
from runner.service.insights import Insights
from runner.service.metrics import Metrics
from runner.service.openapi import document_of
from runner.service.problems import FieldProblem, FiniteJSONResponse, Problem, pointer, problem_of, request_id_of
from runner.service.record import Record
from runner.service.routes import (
    artifacts,
    catalogue,
    events,
    insights,
    jobs,
    operations,
    pages,
    results,
    studies,
    tokens,
)
from runner.service.routes.common import API, Service
from runner.service.security import HEADERS
from runner.service.touched import Touched
from runner.store import StoreError
from runner.store.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi.routing import APIRoute
    from starlette.responses import Response

    from runner.service.settings import ServiceSettings

_HOUSEKEEPING_S = 15.0
_KEYS_LIVE = timedelta(hours=24)  # how long a replay is given its first answer
_FORGET_EVERY = 240  # rounds of housekeeping: once an hour

_log = logging.getLogger("supernaut.service")


def create_app(settings: ServiceSettings) -> FastAPI:
    """The service over one record, which must exist when a request comes."""
    record, touched = Record(settings), Touched()
    hub = Hub(record, poll_s=settings.poll_s)
    fronts = Fronts()
    metrics = Metrics(version("supernaut"), lambda: hub.listening)
    service = Service(
        settings=settings,
        record=record,
        blobs=Blobs(settings.home.artifacts_url),
        hub=hub,
        fronts=fronts,
        insights=Insights(fronts),
        metrics=metrics,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeping = asyncio.create_task(_keep_house(record, touched))
        try:
            yield
        finally:
            keeping.cancel()
            hub.close()
            await run_in_threadpool(touched.write, record)
            record.forget()

    app = FastAPI(
        title="Supernaut",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[Middleware(Guard, settings=settings, record=record, metrics=metrics, touched=touched)],
    )
    app.state.service = service
    app.router.routes.extend(_routes().routes)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.openapi = lambda: document_of(app)  # type: ignore[method-assign]
    _add_errors(app)
    return app


@cache
def _routes() -> APIRouter:
    """All routes, once a process: what they take and give takes a moment to work out, and is the same for all."""
    router = APIRouter(default_response_class=FiniteJSONResponse, generate_unique_id_function=_operation_id)
    for module in (studies, results, insights, jobs, artifacts, events, catalogue, tokens):
        router.include_router(module.router, prefix=API)
    for others in (operations.router, tokens.login_router, pages.router):
        router.include_router(others)
    return router


def _operation_id(route: APIRoute) -> str:
    return route.name


async def _keep_house(record: Record, touched: Touched) -> None:
    """What is written down between requests."""
    round_ = 0
    while True:
        await asyncio.sleep(_HOUSEKEEPING_S)
        await run_in_threadpool(touched.write, record)
        if round_ % _FORGET_EVERY == 0:
            await run_in_threadpool(_forget_keys, record)
        round_ += 1


def _forget_keys(record: Record) -> None:
    try:
        record.repository().forget_idempotent(_KEYS_LIVE)
    except StoreError as error:
        _log.warning("old idempotency keys are kept for another hour: %s", error)


def _add_errors(app: FastAPI) -> None:
    def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer_problem(error, request.scope)

    def of_store(request: Request, error: Exception) -> Response:
        assert isinstance(error, StoreError)
        made = problem_of(error)
        if made.status >= 500:
            _log.error("request %s: %s: %s", request_id_of(request.scope), type(error).__name__, error)
        return answer_problem(made, request.scope)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer_problem(_of_validation(error), request.scope)

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(
            error.status_code, "bad_request"
        )
        words = {"not_found": "There is nothing at this address.", "method_not_allowed": "The header Allow says which."}
        return answer_problem(
            Problem(code, words.get(code, "The request cannot be answered."), headers=error.headers or {}),
            request.scope,
        )

    def broken(request: Request, _: Exception) -> Response:
        # The outermost handler answers beyond the guard, and what went wrong is in the server's log alone.
        request_id = request_id_of(request.scope)
        _log.error("request %s: a fault of our own; its traceback follows", request_id)
        detail = "This is a fault in Supernaut. The server's log says more, under the id of this request."
        answer = answer_problem(Problem("internal", detail), request.scope)
        for name, value in {**HEADERS, "X-Request-ID": request_id}.items():
            answer.headers.setdefault(name, value)
        return answer

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(StoreError, of_store)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, broken)


def _of_validation(error: RequestValidationError) -> Problem:
    """What pydantic found, without what was given."""
    found = []
    for each in error.errors():
        where, *rest = each["loc"]
        place: Any = pointer(rest) if where == "body" else ".".join(map(str, each["loc"]))
        found.append(FieldProblem(pointer=place, message=str(each["msg"]).removeprefix("Value error, ")))
    return Problem("invalid", "What was given is not valid.", errors=found)
