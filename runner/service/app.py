"""The application: its routes, and which page answers which error.

Each request opens the record for itself, so that a database that was locked, moved or upgraded in the meantime is
seen as it is now.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from runner.dashboard.fidelity_picture import fidelity_svg
from runner.dashboard.pages import STATIC, render
from runner.dashboard.picture import front_svg
from runner.service.commands import command_prefix
from runner.service.reading import is_begun, reading
from runner.service.security import HEADERS, PICTURE_POLICY, OwnHostOnly, SafeHeaders
from runner.service.views import StudyLine, study_fidelity, study_front, study_lines, study_page
from runner.store import AmbiguousId, StoreError, StudyNotFound
from runner.store.transactions import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = ["GET", "HEAD"]


def create_app(database: Path, *, port: int = 8000, now: Callable[[], datetime] = utc_now) -> FastAPI:
    """The service over one database, which need not exist yet.

    `port` is the one it listens on, for the check of the Host header; `now` is the clock that ages are told by.
    """
    app = FastAPI(title="Supernaut", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(OwnHostOnly, port=port)
    app.add_middleware(SafeHeaders)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _add_pages(app, database, now)
    _add_errors(app)
    return app


def _add_pages(app: FastAPI, database: Path, now: Callable[[], datetime]) -> None:
    prefix = command_prefix(database)

    @app.api_route("/", methods=_READ)
    def studies() -> HTMLResponse:
        lines: tuple[StudyLine, ...] = ()
        if is_begun(database):
            with reading(database) as repository:
                lines = study_lines(repository, now())
        return HTMLResponse(render("studies.html", studies=lines, database=str(database), prefix=prefix))

    @app.api_route("/studies/{study}", methods=_READ)
    def study(study: str) -> HTMLResponse:
        with reading(database) as repository:
            page = study_page(repository, study, now(), prefix)
        return HTMLResponse(render("study.html", page=page))

    @app.api_route("/studies/{study}/front.svg", methods=_READ)
    def picture(study: str) -> Response:
        with reading(database) as repository:
            name, front = study_front(repository, study)
        return Response(
            front_svg(name, front), media_type="image/svg+xml", headers={"Content-Security-Policy": PICTURE_POLICY}
        )

    @app.api_route("/studies/{study}/fidelity.svg", methods=_READ)
    def fidelity(study: str) -> Response:
        with reading(database) as repository:
            name, report = study_fidelity(repository, study)
        return Response(
            fidelity_svg(name, report), media_type="image/svg+xml", headers={"Content-Security-Policy": PICTURE_POLICY}
        )

    @app.api_route("/healthz", methods=_READ)
    def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})


def _add_errors(app: FastAPI) -> None:
    def not_found(_: Request, error: Exception) -> HTMLResponse:
        return _error_page(404, "There is no such study", str(error))

    def unavailable(_: Request, error: Exception) -> HTMLResponse:
        return _error_page(503, "The record cannot be read now", str(error), {"Retry-After": "5"})

    def invalid(_: Request, _error: Exception) -> HTMLResponse:
        return _error_page(404, "There is no such page", "The address holds something that no page has.")

    def refused(_: Request, error: Exception) -> HTMLResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            words = "This version of the service only reads; studies are run and changed on the command line."
            return _error_page(405, "Only reading is possible", words, error.headers)
        title = "There is no such page" if error.status_code == 404 else "This cannot be answered"
        return _error_page(error.status_code, title, "The studies are listed on the first page.", error.headers)

    def broken(_: Request, _error: Exception) -> HTMLResponse:
        # The outermost handler answers beyond our own headers, and what went wrong is in the server's log alone.
        words = "This is a fault in Supernaut; nothing that was measured is lost. The server's log says what happened."
        return _error_page(500, "Something went wrong", words, HEADERS)

    app.add_exception_handler(StudyNotFound, not_found)
    app.add_exception_handler(AmbiguousId, not_found)
    app.add_exception_handler(StoreError, unavailable)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, broken)


def _error_page(status: int, title: str, words: str, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    page = render("error.html", status=status, title=title, words=words)
    return HTMLResponse(page, status, headers=dict(headers or {}))
