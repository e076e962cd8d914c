"""Named points at which a test can end or hurt this process.  It owns the points, not what they stand beside.

`SUPERNAUT_FAULT=POINT:HIT:ACTION` does ACTION when this process comes to POINT for the HIT-th time, counted from 1:

    SUPERNAUT_FAULT=settle.after_commit:3:kill supernaut run study.yaml

POINT is METHOD.before_commit or METHOD.after_commit, where METHOD is one of the repository's methods that write
(`WRITES`) or `upgrade`.  ACTION is `kill` (SIGKILL to this process), `term` (SIGTERM), `interrupt` (SIGINT) or
`disk_full` (raise OSError(ENOSPC)).  Processes that this one starts inherit the variable and count for themselves.
Without it, or where it is empty, a point costs less than a microsecond.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from runner.errors import USAGE, RunnerError

VARIABLE = "SUPERNAUT_FAULT"

WRITES = (
    "create_study",
    "transition_study",
    "delete_study",
    "ensure_stages",
    "transition_stage",
    "set_stage_detail",
    "add_event",
    "reserve",
    "renew",
    "take_over",
    "settle",
    "release",
    "record_evaluation",
    "set_values",
    "ensure_device",
    "set_reference_ms",
    "record_measurement",
    "record_artifact",
    "set_study_device",
    "set_desired_state",
    "edit_study",
    "claim_study",
    "renew_study",
    "release_study",
    "create_job",
    "cancel_job",
    "claim_job",
    "renew_job",
    "release_job",
    "set_job_progress",
    "finish_job",
    "register_worker",
    "seen_worker",
    "stop_worker",
    "create_token",
    "touch_token",
    "revoke_token",
    "use_link",
    "begin_idempotent",
    "finish_idempotent",
    "abandon_idempotent",
    "forget_idempotent",
)
POINTS = tuple(f"{name}.{moment}" for name in (*WRITES, "upgrade") for moment in ("before_commit", "after_commit"))

_SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}
ACTIONS = (*_SIGNALS, "disk_full")


class FaultError(RunnerError):
    """The variable asks for a fault that does not exist."""

    exit_code = USAGE


@dataclass(frozen=True)
class Fault:
    """What is to happen, where, and at which passage."""

    point: str
    hit: int
    action: str


def check() -> None:
    """Raise FaultError where the variable is set to something that could never happen."""
    if given := os.environ.get(VARIABLE):
        _parse(given)


def fault(point: str) -> None:
    """Pass this point; do what the variable asks for, if it means this passage."""
    if given := os.environ.get(VARIABLE):
        _pass(given, point)


def forget_hits() -> None:
    """Count from 1 again, for a test that sets the variable more than once in one process."""
    _hits.clear()


_hits: Counter[str] = Counter()  # passages of the wanted point, by the text of the variable
_lock = threading.Lock()


def _pass(given: str, point: str) -> None:
    wanted = _parse(given)
    if point != wanted.point:
        return
    with _lock:
        _hits[given] += 1
        hit = _hits[given]
    if hit != wanted.hit:
        return
    if wanted.action in _SIGNALS:
        os.kill(os.getpid(), _SIGNALS[wanted.action])
    else:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@lru_cache(maxsize=8)
def _parse(given: str) -> Fault:
    parts = given.split(":")
    if len(parts) != 3:
        raise FaultError(f"{VARIABLE}={given}: it must be POINT:HIT:ACTION, such as settle.after_commit:3:kill")
    point, hit, action = parts
    if point not in POINTS:
        raise FaultError(f"{VARIABLE}={given}: there is no point {point!r}; allowed: {', '.join(POINTS)}")
    if not (hit.isascii() and hit.isdigit() and int(hit) >= 1):
        raise FaultError(f"{VARIABLE}={given}: the hit is {hit!r}; it must be a whole number from 1")
    if action not in ACTIONS:
        raise FaultError(f"{VARIABLE}={given}: there is no action {action!r}; allowed: {', '.join(ACTIONS)}")
    return Fault(point, int(hit), action)
