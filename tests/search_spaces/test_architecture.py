"""Architecture: frozen, canonical, hashable, stable digests, and only plain JSON scalars."""

from __future__ import annotations

import enum
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Architecture, InvalidArchitecture

_scalars = st.one_of(
    st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@given(st.dictionaries(st.text(), _scalars))
def test_json_round_trip(answers: dict) -> None:
    architecture = Architecture(answers)
    back = Architecture.from_json(architecture.to_json())
    assert back == architecture
    assert hash(back) == hash(architecture)
    assert back.digest == architecture.digest
    assert [type(value) for value in back.values()] == [type(value) for value in architecture.values()]
    assert dict(architecture) == answers


def test_digest_is_stable() -> None:
    # Digests are keys of the record: this literal may never change.
    architecture = Architecture({"depth": 3, "mixer": "conv", "ratio": 0.5, "bias": True})
    assert architecture.to_json() == '{"bias":true,"depth":3,"mixer":"conv","ratio":0.5}'
    assert architecture.digest == "e5ebfcd92f73"


def test_order_does_not_matter_and_types_do() -> None:
    assert Architecture({"a": 1, "b": 2}) == Architecture({"b": 2, "a": 1})
    assert list(Architecture({"b": 2, "a": 1})) == ["a", "b"]
    assert len({Architecture({"a": 1}), Architecture({"a": 1.0}), Architecture({"a": True})}) == 3
    assert Architecture({"a": -0.0}) == Architecture({"a": 0.0})
    assert Architecture({"a": 1}) != {"a": 1}


class _Size(enum.IntEnum):
    SMALL = 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1],
        (1,),
        {"b": 1},
        math.nan,
        math.inf,
        -math.inf,
        np.float64(0.5),
        np.int64(1),
        _Size.SMALL,
        b"x",
    ],
)
def test_answers_that_json_cannot_keep_are_refused(value: object) -> None:
    with pytest.raises(InvalidArchitecture, match="'width'"):
        Architecture({"width": value})  # type: ignore[dict-item]


def test_names_are_strings() -> None:
    with pytest.raises(InvalidArchitecture, match=r"a string, got 3 \(int\)"):
        Architecture({3: 1})  # type: ignore[dict-item]
    with pytest.raises(InvalidArchitecture, match="mapping"):
        Architecture([("a", 1)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object, got list"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999}', "finite"),
        ('{"a": null}', "'a'"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_bad_json_is_explained(text: str, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        Architecture.from_json(text)


def test_it_is_frozen_and_copies() -> None:
    source = {"a": 1}
    architecture = Architecture(source)
    source["a"] = 2
    assert architecture["a"] == 1
    with pytest.raises(AttributeError, match="frozen"):
        architecture.a = 2  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="frozen"):
        del architecture._answers
    with pytest.raises(TypeError):
        architecture["a"] = 2  # type: ignore[index]
    changed = architecture.with_answers({"a": 3, "b": "x"})
    assert dict(changed) == {"a": 3, "b": "x"}
    assert dict(architecture) == {"a": 1}


def test_it_pickles() -> None:
    architecture = Architecture({"a": 1, "b": 0.5})
    copy = pickle.loads(pickle.dumps(architecture))
    assert copy == architecture
    assert copy.digest == architecture.digest
