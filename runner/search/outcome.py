"""Owns what comes of one attempt at an evaluation, and the kinds of failure that there are.

An executor hands on what an evaluator returned, or why it returned nothing. Whether values are good is the
business of `problem`; whether an attempt is worth repeating that of `engine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from search_spaces import Architecture

FailureKind = Literal[
    "exception",  # the evaluator raised, or returned no mapping
    "missing_metric",  # it returned too little
    "non_finite",  # it returned NaN or an infinity
    "out_of_memory",  # it asked for more memory than there was
    "time_limit",  # it took longer than it may
    "worker_lost",  # its process died, or the machine under it
]
FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)
_LONGEST_MESSAGE = 2000  # characters; the record keeps it, and a page shows it

# torch's and Ray's errors have the second name; neither library is imported to look.
_OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError")
_TORCH_CPU_ALLOCATOR = "DefaultCPUAllocator"  # where torch has no memory left on the CPU, it raises a RuntimeError


@dataclass(frozen=True)
class Failure:
    """Why an attempt gave nothing."""

    kind: FailureKind
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an evaluator's exception amounts to."""
        try:
            words = str(error)
        except Exception:  # noqa: BLE001 - a user's exception may fail to describe itself
            words = "(its text cannot be read)"
        message = f"{type(error).__name__}: {words}"
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + " [...]"
        short_of_memory = any(base.__name__ in _OUT_OF_MEMORY for base in type(error).__mro__)
        return cls("out_of_memory" if short_of_memory or _TORCH_CPU_ALLOCATOR in words else "exception", message)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one attempt. Without a failure, `returned` is what the evaluator gave, whatever that is."""

    architecture: Architecture
    attempt: int  # 1 for the first
    seconds: float
    returned: object = None
    failure: Failure | None = None
