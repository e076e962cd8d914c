"""The filter of a list of evaluations: `error<=0.05 and state=complete`.

Owns the grammar and what may be compared with what.  It becomes values that the store compares, never SQL.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.service.limits import MAX_QUERY
from runner.service.problems import Problem
from runner.store.queries import EVALUATION_FIELDS as FIELDS
from runner.store.queries import Filter
from runner.store.records import EVALUATION_STATES

if TYPE_CHECKING:
    from collections.abc import Collection

_TERM = re.compile(
    r"\s*(?P<field>[A-Za-z_][A-Za-z0-9_]{0,63})\s*(?P<op>\^=|<=|>=|!=|=|<|>)\s*"
    r"(?:\"(?P<quoted>[^\"\x00-\x1f]{0,200})\"|(?P<bare>[A-Za-z0-9_.:+-]{1,200}))\s*",
    re.ASCII,
)
_AND = re.compile(r"and(?=\s)", re.ASCII | re.IGNORECASE)
_MOST = 8  # comparisons in one filter

_TEXTS = ("state", "fidelity", "origin", "digest")
_EXAMPLE = "such as: error<=0.05 and state=complete"


def read_filter(text: str | None, metrics: Collection[str]) -> tuple[Filter, ...]:
    """What a filter asks for; `metrics` may stand in it beside the store's fields.  Raises `Problem`."""
    if text is None or not text.strip():
        return ()
    if len(text) > MAX_QUERY:
        raise Problem("bad_filter", f"A filter has at most {MAX_QUERY:,} characters.")
    found: list[Filter] = []
    place = 0
    while True:
        match = _TERM.match(text, place)
        if match is None:
            raise Problem("bad_filter", f"Write comparisons joined by 'and', {_EXAMPLE}.")
        found.append(_comparison(match["field"], match["op"], match["quoted"], match["bare"], metrics))
        if len(found) > _MOST:
            raise Problem("bad_filter", f"A filter has at most {_MOST} comparisons.")
        place = match.end()
        if place == len(text):
            return tuple(found)
        joined = _AND.match(text, place)
        if joined is None:
            raise Problem("bad_filter", f"Comparisons are joined by 'and', {_EXAMPLE}.")
        place = joined.end()


def read_sort(text: str, metrics: Collection[str]) -> str:
    """An order, if it is one: a field or a metric, with '-' before it for the largest first.  Raises `Problem`."""
    if text.removeprefix("-") not in (*FIELDS, *metrics):
        raise Problem("bad_sort", f"Order by one of {_known(metrics)}, with '-' before it for the largest first.")
    return text


def _comparison(name: str, op: str, quoted: str | None, bare: str | None, metrics: Collection[str]) -> Filter:
    text = bare if quoted is None else quoted
    assert text is not None
    if name in _TEXTS:
        if op not in ("=", "!=", "^="):
            raise Problem("bad_filter", f"{name} is compared with =, != or ^= (begins with).")
        if name == "state" and op != "^=" and text not in EVALUATION_STATES:
            raise Problem("bad_filter", f"state is one of {', '.join(EVALUATION_STATES)}.")
        return Filter(name, op, text)
    if op == "^=":
        raise Problem("bad_filter", f"{name} is no text, so ^= means nothing; use = < <= > >= or !=.")
    if name == "sequence":
        return Filter(name, op, _whole(text))
    if name == "created_at":
        return Filter(name, op, _time(text))
    if name not in metrics:
        raise Problem("bad_filter", f"A filter compares {_known(metrics)}.")
    return Filter(name, op, _number(name, text))


def _known(metrics: Collection[str]) -> str:
    return ", ".join((*FIELDS, *sorted(metrics)))


def _whole(text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII) is None:
        raise Problem("bad_filter", "sequence is compared with a whole number.")
    return int(text)


def _number(name: str, text: str) -> float:
    if re.fullmatch(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?", text, re.ASCII) is None:
        raise Problem("bad_filter", f"{name} is compared with a number.")
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Problem("bad_filter", f"{name} is compared with a number of ordinary size.")
    return number


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem("bad_filter", "created_at is compared with a time such as 2026-01-31T12:00:00Z.") from None
