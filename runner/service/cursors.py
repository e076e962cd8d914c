"""Cursors: where a page ended, as text that a client hands back and does not look into.

A cursor carries a digest of the query that it belongs to, so that it cannot be continued with another order or filter.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from runner.service.problems import Problem

if TYPE_CHECKING:
    from runner.store.queries import Cursor

_LONGEST = 2_000
_CHECK = 16  # hexadecimal digits


def query_digest(**query: object) -> str:
    """What makes one query different from another."""
    text = json.dumps(query, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECK]


def write_cursor(query: str, after: Cursor | None) -> str | None:
    """The text for the end of a page; None where no page follows."""
    if after is None:
        return None
    values = json.dumps(after, separators=(",", ":"))
    text = f"{query}{_check(query, values)}{values}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(query: str, cursor: str | None) -> Cursor | None:
    """Where the page before ended.  Raises `Problem` for a text that is none of ours, or belongs to another query."""
    if cursor is None:
        return None
    try:
        if len(cursor) > _LONGEST:
            raise ValueError("too long")
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        of_query, check, values = text[:_CHECK], text[_CHECK : 2 * _CHECK], text[2 * _CHECK :]
        if check != _check(of_query, values):
            raise ValueError("damaged")
        after = tuple(json.loads(values))
    except (ValueError, TypeError):
        raise Problem("bad_cursor", "Take the cursor from the page before as it is, or begin without one.") from None
    if of_query != query:
        raise Problem(
            "cursor_of_another_query", "Keep filter, order, search and study as they were, or begin without a cursor."
        )
    return after


def _check(query: str, values: str) -> str:
    """Notices damage.  Whoever forges one reads nothing that they could not ask for directly."""
    return hashlib.sha256(f"cursor\n{query}\n{values}".encode()).hexdigest()[:_CHECK]
