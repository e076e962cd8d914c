"""What is a fact and what is not: numbers and words that a record may hold.  It owns these rules and their messages."""

from __future__ import annotations

import math

from runner.store.errors import InvalidRecord

_LARGEST_INTEGER = 2**63 - 1  # of SQLite and of PostgreSQL's bigint


def recordable(words: str) -> str:
    """The same words without what no database takes; the messages of errors may carry anything."""
    return words.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def check_finite(name: str, number: float) -> None:
    """Refuse NaN and infinity, which order badly and which JSON cannot carry."""
    if not math.isfinite(number):
        raise InvalidRecord(f"{name} is {number}; only finite numbers are recorded: record a failure instead")


def check_not_negative(name: str, number: float) -> None:
    """Refuse what is no size, time or count."""
    check_finite(name, number)
    if number < 0:
        raise InvalidRecord(f"{name} is {number}; it cannot be negative")


def check_integer(name: str, number: int) -> None:
    """Refuse what no database column holds."""
    if not -_LARGEST_INTEGER <= number <= _LARGEST_INTEGER:
        raise InvalidRecord(f"{name} is {number}; it must fit into 64 bits")
