"""Owns what one evaluation is: an architecture with its values, or with the reason why it has none.

Whether values are good is the business of `problem`; running the evaluator that of `engine`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces import Architecture

State = Literal["complete", "failed"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One architecture, evaluated once. Only a complete one has values, only a failed one a failure.

    Two are equal where they say the same of the same architecture, however long that took to find out.
    """

    architecture: Architecture
    state: State
    values: Mapping[str, float] = field(default_factory=dict)
    failure_kind: str | None = None  # one of `outcome.FAILURE_KINDS`; a history may hold others
    failure_message: str | None = None
    attempt: int = field(default=1, compare=False)  # the one that this is the result of
    duration_ms: float | None = field(default=None, compare=False)  # of that attempt; None where nobody measured it

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        if self.state not in ("complete", "failed"):
            raise ValueError(f"an evaluation is 'complete' or 'failed', got state={self.state!r}")
        if (self.state == "failed") != (self.failure_kind is not None):
            raise ValueError("a failed evaluation, and no other, has a failure_kind")

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy cannot be pickled; workers and stores hand evaluations between processes.
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        return _restored, ({**state, "values": dict(self.values)},)

    @classmethod
    def complete(cls, architecture: Architecture, values: Mapping[str, float]) -> Evaluation:
        """An evaluation that gave these values."""
        return cls(architecture=architecture, state="complete", values=values)

    @classmethod
    def failed(cls, architecture: Architecture, kind: str, message: str) -> Evaluation:
        """An evaluation that gave nothing, and why."""
        return cls(architecture=architecture, state="failed", failure_kind=kind, failure_message=message)


def _restored(state: dict[str, Any]) -> Evaluation:
    return Evaluation(**state)
