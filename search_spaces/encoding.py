"""Architectures as vectors of floats, with a name for each column.

Owns the layout: an ordinal choice is one column with (index + 1) / n, so that 0 is left for "inactive"; a
categorical choice is one column for each value, all 0 where it is inactive.  What a model makes of the
columns is not known here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from search_spaces.choice import Ordinal
from search_spaces.counting import INACTIVE
from search_spaces.errors import InvalidArchitecture
from search_spaces.values import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from search_spaces.choice import Choice
    from search_spaces.counting import Answers


def column_names(choices: Mapping[str, Choice]) -> tuple[str, ...]:
    """`depth` for an ordinal choice, `mixer=softmax` and so on for a categorical one."""
    names: list[str] = []
    for name, choice in choices.items():
        if isinstance(choice, Ordinal):
            names.append(name)
        else:
            labels = [str(value) for value in choice.values]
            if len(set(labels)) < len(labels):  # "1" beside 1: write both as JSON
                labels = [canonical_json(value) for value in choice.values]
            names.extend(f"{name}={label}" for label in labels)
    return tuple(names)


def encoded(choices: Sequence[Choice], answers: Answers) -> tuple[float, ...]:
    """The vector of these answers."""
    columns: list[float] = []
    for choice, answer in zip(choices, answers, strict=True):
        size = len(choice.values)
        if isinstance(choice, Ordinal):
            columns.append(0.0 if answer == INACTIVE else (answer + 1) / size)
        else:
            columns.extend(1.0 if index == answer else 0.0 for index in range(size))
    return tuple(columns)


def preferences(choices: Sequence[Choice], vector: Iterable[float]) -> list[list[int]]:
    """For each choice its indices, those nearest to the vector first; equally near ones from the smallest."""
    columns = [float(number) for number in vector]
    width = sum(1 if isinstance(choice, Ordinal) else len(choice.values) for choice in choices)
    if len(columns) != width:
        raise InvalidArchitecture(f"this space has {width} columns, got {len(columns)} numbers; see space.columns")
    if not all(math.isfinite(number) for number in columns):
        raise InvalidArchitecture("a vector to decode must hold finite numbers, got NaN or infinity")
    found: list[list[int]] = []
    start = 0
    for choice in choices:
        size = len(choice.values)
        if isinstance(choice, Ordinal):
            distances = [abs(columns[start] - (index + 1) / size) for index in range(size)]
            start += 1
        else:
            distances = [-number for number in columns[start : start + size]]
            start += size
        found.append(sorted(range(size), key=distances.__getitem__))
    return found
