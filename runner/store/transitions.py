"""Which state may follow which.  It owns the rule; the compare-and-set is in studies.py and jobs.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from runner.store.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.store.records import JobState, StageState, StudyState

State = TypeVar("State", bound=str)

# A complete study stays complete; a failed or an interrupted one may be resumed: at once, or by becoming
# `interrupted` until a worker has time.  A process that was killed leaves `running` behind: whoever resumes such a
# study says first that it was interrupted.
STUDY_TRANSITIONS: Mapping[StudyState, tuple[StudyState, ...]] = {
    "created": ("running", "interrupted", "failed"),
    "running": ("interrupted", "failed", "complete"),
    "interrupted": ("running", "failed"),
    "failed": ("running", "interrupted"),
    "complete": (),
}

# A stage that was interrupted goes back to `pending`; a failed one may be tried again.
STAGE_TRANSITIONS: Mapping[StageState, tuple[StageState, ...]] = {
    "pending": ("running",),
    "running": ("pending", "complete", "failed"),
    "failed": ("running",),
    "complete": (),
}

# A job whose worker died, or let it go, is queued again.
JOB_TRANSITIONS: Mapping[JobState, tuple[JobState, ...]] = {
    "queued": ("running", "cancelled"),
    "running": ("queued", "complete", "failed", "cancelled"),
    "complete": (),
    "failed": (),
    "cancelled": (),
}


def check_transition(what: str, allowed: Mapping[State, tuple[State, ...]], expected: State, new: State) -> None:
    """Raise where nothing may go from `expected` to `new`."""
    if expected not in allowed:
        raise IllegalTransition(f"{expected!r} is no state of a {what}; the states are: {', '.join(allowed)}")
    if new not in allowed[expected]:
        possible = ", ".join(allowed[expected]) or "nothing: it is final"
        raise IllegalTransition(
            f"a {what} cannot go from {expected!r} to {new!r}; from {expected!r} follows {possible}"
        )
