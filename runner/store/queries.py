"""What may be asked of lists, and the pages that answer: frozen values.  It owns their shape, not how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar, get_args

from runner.store.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runner.store.records import EvaluationState, Provenance

Item = TypeVar("Item")
Cursor: TypeAlias = tuple[str | int | float | None, ...]  # a place in an order; JSON carries it unchanged
StudySort: TypeAlias = Literal["created_at", "-created_at", "name", "-name", "updated_at", "-updated_at"]

FILTER_OPS = ("=", "!=", "<", "<=", ">", ">=", "^=")
STUDY_SORTS: tuple[str, ...] = get_args(StudySort)
EVALUATION_FIELDS = ("state", "fidelity", "origin", "digest", "sequence", "created_at")  # any other one is a metric

LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list; where there is more, `next` is what to give as `after` for the part that follows."""

    items: tuple[Item, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on evaluations: a field or a metric, how to compare, with what.  `^=` means: begins with."""

    field: str
    op: str  # one of FILTER_OPS
    value: str | int | float | datetime

    def __post_init__(self) -> None:
        if self.op not in FILTER_OPS:
            raise InvalidQuery(f"there is no comparison {self.op!r}; allowed: {', '.join(FILTER_OPS)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricColumn:
    """One metric of each evaluation: the value that counts and where it came from; None where there is none."""

    values: Sequence[float | None]
    provenances: Sequence[Provenance | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricValues:
    """One metric of those evaluations that have it, by their ids: the values that count."""

    ids: Sequence[int]
    values: Sequence[float]
    provenances: Sequence[Provenance]


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """All evaluations of a study in the order of their commits, column by column; all have the same length."""

    ids: Sequence[int]
    digests: Sequence[str]
    fidelities: Sequence[str]
    states: Sequence[EvaluationState]
    metrics: Mapping[str, MetricColumn]


@dataclass(frozen=True, slots=True)
class Pair:
    """What was predicted of one architecture, and what was measured of it later."""

    digest: str
    predicted: float
    lower: float | None  # of the prediction's interval
    upper: float | None
    measured: float
    measured_lower: float | None
    measured_upper: float | None


def check_limit(limit: int) -> None:
    """Refuse pages without items, and those that would take long."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidQuery(f"a page has 1 to {LARGEST_PAGE} items, not {limit}")
