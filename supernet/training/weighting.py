"""How often random draws take each value of a choice, and what names of choices may stand for in training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from search_spaces.errors import UnknownChoice, unknown_name
from supernet.errors import TrainingError

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from search_spaces import Architecture, SearchSpace


@dataclass(frozen=True)
class SamplingWeights:
    """For some choices, how often their values are drawn beside the others, whose weight is 1.

    Values are kept as they are written in a file, so that 2 and "2" are one.  `SamplingWeights.of` makes them from what
    a person wrote; without any, every value that can still be completed is equally likely.
    """

    by_name: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, space: SearchSpace, given: Mapping[str, Mapping[Any, float]]) -> SamplingWeights:
        """From `{"mixer": {"softmax": 2.0}}`: names, last parts of names or patterns, then values.

        Where two entries weigh one value, the later one counts.  Raises `UnknownChoice`, or `TrainingError` for a
        value that no such choice has or a weight that is not a positive number.
        """
        by_name: dict[str, dict[str, float]] = {}
        for pattern, by_value in given.items():
            names = matching(space, pattern)
            known = {_text(value): None for name in names for value in space.choices[name].values}
            for value, weight in by_value.items():
                if _text(value) not in known:
                    raise TrainingError(f"{pattern!r} has no value {value!r} to weigh; allowed: {', '.join(known)}.")
                if not 0 < weight < math.inf:
                    raise TrainingError(
                        f"the weight of {pattern!r} {value!r} must be a positive number, got {weight}; what shall "
                        "never be drawn is left out of the space."
                    )
                for name in names:
                    by_name.setdefault(name, {})[_text(value)] = float(weight)
        return cls(by_name)

    def draw(self, space: SearchSpace, rng: random.Random) -> Architecture:
        """A random architecture of `space`, which may be a part of the one that the weights were made for."""
        weights = {
            name: tuple(by_value.get(_text(value), 1.0) for value in space.choices[name].values)
            for name, by_value in self.by_name.items()
        }
        return space.sample_balanced(rng, weights)


def matching(space: SearchSpace, pattern: str) -> tuple[str, ...]:
    """The choices that are meant: of this name, else with this last part (`mixer`), else matched (`layers.*.mixer`).

    Raises `UnknownChoice`, with what there is.
    """
    if pattern in space.choices:
        return (pattern,)
    last = {name: name.rpartition(".")[2] for name in space.choices}
    found = tuple(name for name in space.choices if last[name] == pattern)
    found = found or tuple(name for name in space.choices if fnmatchcase(name, pattern))
    if not found:
        raise UnknownChoice(unknown_name("choice", pattern, dict.fromkeys((*last.values(), *space.choices))) + ".")
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
