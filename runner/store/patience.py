"""Waiting for a record that cannot be used now: locked by somebody, on a disk that is full.

It owns how long the pauses are and what a person is told.  That a call may be repeated is the repository's promise:
where it raises StoreUnavailable, nothing was written.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from runner.store.errors import StoreUnavailable

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Result = TypeVar("Result")

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_SHORTEST_PART = 0.75  # of a pause: those who wait for the same lock should not come back together
_LOOK_S = 0.1  # how often somebody who asks to stop is heard


def patiently(
    action: Callable[[], Result],
    *,
    patience_s: float,
    waiting: Callable[[str], None],
    stop: Callable[[], bool],
    rng: random.Random,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """What `action` returns, called again after each StoreUnavailable until it succeeds.

    `waiting` is told once that the waiting begins and once that it is over.  The last StoreUnavailable is raised
    after `patience_s` seconds, or as soon as `stop()` is true; any other error is raised at once.  Within a call
    SQLite waits too, unheard: open the repository with a `busy_timeout_ms` that `stop` can wait for.
    """
    try:
        return action()
    except StoreUnavailable as error:
        failure = error
    began = clock()
    waiting(f"waiting for the record, up to {patience_s:g} s: {failure}")
    pause_s = _FIRST_PAUSE_S
    while (left_s := began + patience_s - clock()) > 0:
        _pause(min(pause_s * rng.uniform(_SHORTEST_PART, 1), left_s), stop, clock, sleep)
        if stop():
            break
        try:
            result = action()
        except StoreUnavailable as error:
            failure = error
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            waiting(f"the record can be used again after {clock() - began:.1f} s")
            return result
    raise failure


def _pause(
    pause_s: float, stop: Callable[[], bool], clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    """Sleep, but not much longer than until somebody asks to stop."""
    until = clock() + pause_s
    while not stop() and (left_s := until - clock()) > 0:
        sleep(min(left_s, _LOOK_S))
