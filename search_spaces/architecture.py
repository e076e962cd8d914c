"""Architecture: a frozen value with one answer for each active choice.

Owns canonical JSON, the digest and equality.  Whether an architecture belongs to a space, `space.py` decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, final

from search_spaces.errors import InvalidArchitecture
from search_spaces.values import Value, canonical_json, digest_of, read_value


@final
class Architecture(Mapping[str, Value]):
    """A frozen mapping from the name of a choice to its answer.

    Two architectures are equal where their canonical JSON is: 1, 1.0 and True are different answers, and the
    order in which answers were given does not matter (they are kept sorted by name).
    """

    __slots__ = ("_answers", "_json")
    _answers: dict[str, Value]
    _json: str

    def __init__(self, answers: Mapping[str, Value]) -> None:
        if not isinstance(answers, Mapping):
            raise InvalidArchitecture(
                f"an architecture is made from a mapping of names to answers, got {type(answers).__name__}"
            )
        read = {_read_name(name): _read_answer(name, value) for name, value in answers.items()}
        ordered = {name: read[name] for name in sorted(read)}
        object.__setattr__(self, "_answers", ordered)
        object.__setattr__(self, "_json", canonical_json(ordered))

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read what `to_json` wrote, or any flat JSON object of scalars."""
        try:
            document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        except InvalidArchitecture:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidArchitecture(f"an architecture is a JSON object; this text is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise InvalidArchitecture(f"an architecture is a JSON object, got {type(document).__name__}")
        return cls(document)

    def to_json(self) -> str:
        """The canonical JSON: sorted names, no spaces."""
        return self._json

    @property
    def digest(self) -> str:
        """12 hex digits that name this architecture in tables, files and commands."""
        return digest_of(self._json)

    def with_answers(self, answers: Mapping[str, Value]) -> Architecture:
        """A copy in which these answers replace or join the present ones; `space.canonical` tidies it."""
        return Architecture({**self._answers, **answers})

    def __getitem__(self, name: str) -> Value:
        return self._answers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self._json == other._json

    def __hash__(self) -> int:
        return hash(self._json)

    def __repr__(self) -> str:
        return f"Architecture({self._answers!r})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an architecture is frozen; use with_answers(...) instead of setting {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an architecture is frozen; {name!r} cannot be deleted")

    def __reduce__(self) -> tuple[type[Architecture], tuple[dict[str, Value]]]:
        return Architecture, (dict(self._answers),)


def _read_name(name: object) -> str:
    if type(name) is not str:
        raise InvalidArchitecture(f"the name of a choice is a string, got {name!r} ({type(name).__name__})")
    return name


def _read_answer(name: object, value: object) -> Value:
    try:
        return read_value(value)
    except ValueError as error:
        raise InvalidArchitecture(f"the answer to {name!r} cannot be kept: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArchitecture(f"the JSON object answers {twice!r} twice; keep one answer")
    return document


def _refuse_constant(text: str) -> NoReturn:
    raise InvalidArchitecture(f"{text} is not JSON and cannot be an answer; give a finite number")
