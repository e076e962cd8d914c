"""The training of shared weights as its health checks tell it, without what a return to a checkpoint made void."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PRECISION, HEALTH, ROLLBACK = "train.precision", "train.health", "train.rollback"  # kinds of events
KINDS = (PRECISION, HEALTH, ROLLBACK)
SUBNETS = ("largest", "random", "smallest")


@dataclass(frozen=True, kw_only=True)
class Training:
    """The scores of three subnets by step."""

    precision: str | None  # as it was measured
    steps: tuple[int, ...]
    series: Mapping[str, tuple[float | None, ...]]  # by subnet; None for a score that is no finite number
    rollbacks: int


def training_of(events: Iterable[tuple[str, Mapping[str, Any]]]) -> Training:
    """What the events of a study, each a kind and a payload in their order, say of its training."""
    checks: list[Mapping[str, Any]] = []
    precision, rollbacks = None, 0
    for kind, payload in events:
        if kind == PRECISION:
            precision = str(payload["precision"])
        elif kind == ROLLBACK:
            rollbacks += 1
            checks = [check for check in checks if check["step"] <= payload["back_to"]]
        elif kind == HEALTH:
            checks = [check for check in checks if check["step"] < payload["step"]] + [payload]
    return Training(
        precision=precision,
        steps=tuple(int(check["step"]) for check in checks),
        series={subnet: _scores(checks, subnet) for subnet in SUBNETS},
        rollbacks=rollbacks,
    )


def _scores(checks: Sequence[Mapping[str, Any]], subnet: str) -> tuple[float | None, ...]:
    return tuple(check.get(subnet) for check in checks)
