"""What a refusal of the server means here: which error it becomes, and in which words (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.client.finding import TOKEN_VARIABLE
from runner.errors import Conflict, NotFound, Refused, RunnerError, ServerFault, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

TOO_MANY_JOBS = "too_many_jobs"

_SHOWN_ERRORS = 20
_LONGEST_WORDS = 4000  # of what the server says


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A refusal as the server told it."""

    status: int
    title: str = ""
    detail: str = ""
    code: str = ""
    request_id: str = ""
    errors: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What went wrong, for a person."""
        said = self.detail or self.title or f"status {self.status}"
        more = [f"  {error}" for error in self.errors if error not in said]
        rest = len(more) - _SHOWN_ERRORS
        if rest > 0:
            more = [*more[:_SHOWN_ERRORS], f"  and {rest} more"]
        return "\n".join([said, *more])[:_LONGEST_WORDS]


def read_problem(status: int, document: object) -> Problem:
    """The problem in the body of an answer; one without words where the body is none."""
    if not isinstance(document, dict):
        return Problem(status=status)
    told = document.get("errors")
    return Problem(
        status=status,
        title=_text(document.get("title")),
        detail=_text(document.get("detail")),
        code=_text(document.get("code")),
        request_id=_text(document.get("request_id")),
        errors=tuple(_error_line(one) for one in told if isinstance(one, dict)) if isinstance(told, list) else (),
    )


def error_of(problem: Problem, server: str) -> RunnerError:
    """The error that a refusal becomes; `server` is the address that sent it."""
    status, words = problem.status, problem.words
    if status == 401:
        return Refused(f"{server} did not accept the token: {words} Give a valid one in ${TOKEN_VARIABLE}.")
    if status in (404, 410):
        if not problem.title and not problem.detail:
            return NotFound(f"{server} has nothing there, and says no more; is it the address of a Supernaut server?")
        return NotFound(words)
    if status in (409, 412) or problem.code == TOO_MANY_JOBS:
        return Conflict(words)
    if status in (429, 502, 503, 504):
        return ServerUnreachable(f"{server} cannot work now: {words}")
    if 300 <= status < 400:
        return Refused(f"{server} sends its callers elsewhere (status {status}); give the address that it leads to.")
    if status >= 500:
        reference = f" (request {problem.request_id})" if problem.request_id else ""
        return ServerFault(f"{server} failed{reference}: {words} Its log says more.")
    return Refused(words)


def _error_line(error: Mapping[str, Any]) -> str:
    where, message = _text(error.get("pointer") or error.get("field")), _text(error.get("message"))
    return f"{where}: {message}" if where else message


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
