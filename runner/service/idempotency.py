"""Requests that may arrive twice: the second is given the answer of the first.

Owns the key's form, what makes two requests the same, and that successes alone are kept.  What a request makes has an
id that follows from owner, key and request, so that it is made once even where the server died before it said so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runner.service.limits import MAX_KEY
from runner.service.problems import FiniteJSONResponse, Problem, finite
from runner.store import StoreError

if TYPE_CHECKING:
    from starlette.types import Scope

    from runner.service.auth import Principal
    from runner.store import Repository

_KEY = re.compile(r"[\x21-\x7e]+", re.ASCII)

Made = tuple[int, Mapping[str, Any], Mapping[str, str]]  # status, document, headers


def once(
    repository: Repository,
    principal: Principal,
    key: str | None,
    asked: object,
    scope: Scope,
    make: Callable[[str | None], Made],
) -> FiniteJSONResponse:
    """What `make` makes, given the id to make it under, or what it made when the key was given before.

    `asked` is what the client asked for.  Raises `Problem` and `StoreError`.
    """
    if key is None:
        return _answer(make(None))
    if len(key) > MAX_KEY or _KEY.fullmatch(key) is None:
        raise Problem("bad_idempotency_key", f"Use 1 to {MAX_KEY} printable characters without spaces, such as a UUID.")
    digest = hashlib.sha256(
        json.dumps([scope["method"], scope["path"], asked], sort_keys=True).encode("utf-8", "backslashreplace")
    ).hexdigest()
    known = repository.begin_idempotent(principal.owner, key, digest)
    if known is not None:
        status, kept = known
        assert kept is not None
        return _answer((status, kept["document"], kept["headers"]), replayed=True)
    made_id = hashlib.sha256(f"{principal.owner}\n{key}\n{digest}".encode()).hexdigest()[:32]
    try:
        made = make(made_id)
    except BaseException:
        # Nothing was made, so that the same request may be repeated at once.
        with suppress(StoreError):
            repository.abandon_idempotent(principal.owner, key)
        raise
    status, document, headers = made
    repository.finish_idempotent(principal.owner, key, status, finite({"document": document, "headers": dict(headers)}))
    return _answer(made)


def _answer(made: Made, *, replayed: bool = False) -> FiniteJSONResponse:
    status, document, headers = made
    more = {"Idempotency-Replayed": "true"} if replayed else {}
    return FiniteJSONResponse(dict(document), status, headers={**headers, **more})
