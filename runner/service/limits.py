"""How large and how deep what a client sends may be, and the one reader of JSON bodies.

Bodies are looked at here before any model sees them: no NaN, no duplicate fields, no numbers that take minutes to read.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from runner.service.problems import Problem

MAX_BODY_BYTES = 1_000_000
MAX_YAML_BYTES = 65_536  # a study is a few hundred bytes; reading YAML costs far more than JSON
MAX_DEPTH = 20
MAX_ITEMS = 10_000  # of one list or object
MAX_DIGITS = 40  # of one number
MAX_NAME = 64
MAX_NOTES = 20_000
MAX_TAGS = 32
MAX_TAG = 64
MAX_PAGE = 500
DEFAULT_PAGE = 100
MAX_QUERY = 2_000  # characters of a filter
MAX_METRICS = 32  # of one columns request
MAX_KEY = 255  # characters of an idempotency key
MAX_WAITING_JOBS = 50  # of one study
MAX_LISTENERS = 1_000  # of one server process
BODY_TIMEOUT_S = 30


def read_json(body: bytes) -> Any:
    """The document in a body.  Raises `Problem`."""
    try:
        text = body.decode("utf-8")
        document = json.loads(
            text, parse_constant=_no_constant, parse_int=_int, parse_float=_float, object_pairs_hook=_object
        )
    except UnicodeDecodeError:
        raise Problem("bad_json", "The body is not UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise Problem("bad_json", f"{error.msg}, line {error.lineno}, column {error.colno}.") from None
    check_shape(document)
    return document


def check_shape(document: Any) -> None:
    """Raise `Problem` where a document is deeper than MAX_DEPTH or has a list or object above MAX_ITEMS."""
    level = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict | list):
                if len(each) > MAX_ITEMS:
                    raise Problem("invalid", f"A list or object has more than {MAX_ITEMS:,} items.")
                below.extend(each.values() if isinstance(each, dict) else each)
            elif isinstance(each, str):
                _check_text(each)
        if not below:
            return
        level = below
    raise _too_deep()


def _check_text(text: str) -> None:
    """Refuse what no database takes."""
    if "\x00" in text:
        raise Problem("invalid", "A text holds the character NUL.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Problem("invalid", "A text holds half of a surrogate pair.") from None


def _too_deep() -> Problem:
    return Problem("invalid", f"The document is nested deeper than {MAX_DEPTH} levels.")


def _no_constant(text: str) -> NoReturn:
    raise Problem("bad_json", f"{text} is not JSON; leave the field out or give a finite number.")


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Problem("invalid", f"A number has more than {MAX_DIGITS} digits.")
    return int(text)


def _float(text: str) -> float:
    if len(text) > 10 * MAX_DIGITS:
        raise Problem("invalid", f"A number has more than {10 * MAX_DIGITS} characters.")
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Problem("invalid", "A number is too large.")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Problem("bad_json", "An object has the same field twice.")
    for name in document:
        _check_text(name)
    return document
