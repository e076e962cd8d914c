"""Checks of the options that a study gives a task.  They come from YAML or JSON: any type may stand there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from supernet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_VALUES = 2**28  # of a task's inputs; 2 GiB as int64


def affordable(task: str, samples: int, length: int) -> None:
    """Nothing, where `samples` of `length` values can be kept.  Raises `OptionError` before any memory is asked for."""
    if samples * length > MOST_VALUES:
        raise OptionError(
            f"{task}: {samples:,} samples of length {length:,} are {samples * length:,} values, more than the "
            f"{MOST_VALUES:,} that are kept; ask for fewer or shorter ones."
        )


def whole(task: str, name: str, value: object, at_least: int, at_most: int | None = None) -> int:
    """`value` as a whole number within bounds.  Raises `OptionError`."""
    most = math.inf if at_most is None else at_most
    if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= most:
        return value
    top = "" if at_most is None else f" and at most {at_most:,}"
    raise OptionError(f"{task}: {name} must be a whole number of at least {at_least:,}{top}; got {value!r}.")


def number(task: str, name: str, value: object, *, above: float, below: float = math.inf) -> float:
    """`value` as a finite number strictly between two others.  Raises `OptionError`."""
    if isinstance(value, int | float) and not isinstance(value, bool) and above < value < below:
        return float(value)
    top = "" if below == math.inf else f" and below {below:g}"
    raise OptionError(f"{task}: {name} must be a number above {above:g}{top}; got {value!r}.")


def yes_or_no(task: str, name: str, value: object) -> bool:
    """`value` as a truth value.  Raises `OptionError`."""
    if not isinstance(value, bool):
        raise OptionError(f"{task}: {name} must be true or false; got {value!r}.")
    return value


def one_of(task: str, name: str, value: object, allowed: Collection[str]) -> str:
    """`value` as one of the words allowed.  Raises `OptionError`."""
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(f"{task}: {name} must be one of {', '.join(allowed)}; got {value!r}.")
    return value


def limits(task: str, *, max_samples: object, validation_samples: object) -> dict[str, int | None]:
    """At most how many samples each split has: `max_samples`, in validation `validation_samples` if that is fewer."""
    most, validation = (
        None if given is None else whole(task, name, given, at_least=2)
        for name, given in (("max_samples", max_samples), ("validation_samples", validation_samples))
    )
    fewest = min((limit for limit in (most, validation) if limit is not None), default=None)
    return {"train": most, "validation": fewest, "test": most}
