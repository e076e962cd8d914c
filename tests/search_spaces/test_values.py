"""Plain scalars, their identity, and the one way documents are written."""

from __future__ import annotations

import math

import pytest

from search_spaces.values import as_values, canonical_json, digest_of, identity, read_value


@pytest.mark.parametrize("value", [True, 0, -(2**80), 0.5, "", "é"])
def test_scalars_pass_unchanged(value: object) -> None:
    read = read_value(value)
    assert read == value
    assert type(read) is type(value)


def test_negative_zero_becomes_zero() -> None:
    assert math.copysign(1, float(read_value(-0.0))) == 1


def test_identity_tells_types_apart() -> None:
    assert len({identity(1), identity(1.0), identity(True), identity("1")}) == 4


def test_as_values() -> None:
    assert as_values([1, 2]) == as_values((1, 2)) == (1, 2)
    assert as_values("ab") == ("ab",)
    assert as_values(3) == (3,)


def test_canonical_json() -> None:
    assert canonical_json({"b": [1, 1.0, True], "a": "é"}) == '{"a":"\\u00e9","b":[1,1.0,true]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(math.nan)


def test_digest_of_a_known_text() -> None:
    assert digest_of("") == "e3b0c44298fc"  # the first 12 digits of SHA-256 of nothing, FIPS 180-4
