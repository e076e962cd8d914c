"""Which form an answer about an error has: a page for a person, a problem for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from runner.dashboard.pages import render
from runner.service.problems import problem_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

    from runner.service.problems import Problem

_FOR_PROGRAMS = ("/api", "/metrics", "/openapi.json", "/healthz", "/readyz")

_WORDS: Mapping[str, tuple[str, str]] = {
    "unauthenticated": (
        "Open this page with a link",
        "This browser has no session. Open the link that supernaut serve printed when it started, or get a fresh one "
        "with supernaut open on the machine where the server runs. A link works once.",
    ),
    "record_unavailable": ("The record cannot be read now", ""),
    "study_not_found": ("There is no such study", ""),
    "not_found": ("There is no such page", ""),
    "method_not_allowed": ("Only reading is possible", "Pages only show; the API under /api/v1 changes things."),
    "internal": (
        "Something went wrong",
        "This is a fault in Supernaut; nothing that was measured is lost. The server's log says what happened.",
    ),
}


def answer_problem(problem: Problem, scope: Scope) -> Response:
    """A problem in the form that fits the address."""
    path: str = scope["path"]
    if any(path == each or path.startswith(f"{each}/") for each in _FOR_PROGRAMS):
        return problem_response(problem, scope)
    title, words = _WORDS.get(problem.code, (problem.title, ""))
    page = render("error.html", status=problem.status, title=title, words=words or problem.detail)
    return HTMLResponse(page, problem.status, headers=problem.headers)
