"""What an answer may be: a plain JSON scalar.  Owns when two answers are the same and how one is written.

It knows nothing of choices or spaces.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import TypeAlias

Value: TypeAlias = bool | int | float | str

_DIGEST_LENGTH = 12  # hex digits: 48 bits, so two of a million documents collide with probability 0.2 %
_SCALARS = (bool, int, float, str)


def read_value(given: object) -> Value:
    """Return `given` as an answer; a ValueError says why it cannot be one.

    Subclasses are refused, because they would not survive a JSON round trip as themselves: NumPy's float64 is
    a float, an IntEnum is an int.  Negative zero becomes zero, so that equal floats are written alike.
    """
    if type(given) not in _SCALARS:
        raise ValueError(
            f"{given!r} is of type {type(given).__name__}; an answer is a bool, int, float or str"
            " (call .item() on a NumPy scalar, .value on an enum)"
        )
    if isinstance(given, float):
        if not math.isfinite(given):
            raise ValueError(f"{given!r} is not a finite number; JSON cannot hold it")
        return given + 0.0
    assert isinstance(given, bool | int | str)
    return given


def identity(value: Value) -> tuple[type, Value]:
    """A key under which 1, 1.0 and True differ, as they do in JSON."""
    return type(value), value


def as_values(given: object) -> tuple[object, ...]:
    """A list or tuple as a tuple; anything else as the only member of one."""
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def canonical_json(document: object) -> str:
    """The one way a document is written: sorted keys, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(canonical: str) -> str:
    """A short stable name for a document: the first 12 hex digits of the SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:_DIGEST_LENGTH]
