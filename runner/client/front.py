"""A front that came from a server: the same values as one from the record, and a data frame of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner import front as recorded
from runner.client.records import architecture_from, from_the_server, value_from
from runner.errors import Refused
from runner.front import Point, compute_front
from runner.front_rows import front_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas  # type: ignore[import-untyped]

    from runner.store.records import EvaluationRecord, ValueRecord
    from runner.study import StudySpec


@dataclass(frozen=True, kw_only=True)
class Front(recorded.Front):
    """The front of a study; of the architectures that are not on it, those that were asked for."""

    total: int  # of all evaluated architectures

    @property
    def evaluated(self) -> int:
        """How many architectures have a value for each objective, be they here or not."""
        return self.total

    def rows(self, *, every: bool = False) -> list[dict[str, Any]]:
        """A row of plain values for each point of the front; with `every` also for the others that it has."""
        return front_rows(self, every=every)

    def to_pandas(self, *, every: bool = False) -> pandas.DataFrame:
        """The same rows as a data frame.  Raises `Refused` where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise Refused("to_pandas() needs pandas: pip install pandas. rows() needs nothing.") from error
        return pandas.DataFrame(self.rows(every=every))


@from_the_server
def front_from(document: Mapping[str, Any]) -> Front:
    """The front in an answer."""
    points = tuple(_point(one) for one in document["points"])
    others = sorted((_point(one) for one in document["others"]), key=lambda point: point.evaluation_id)
    knee = document["knee"]
    return Front(
        goals=dict(document["goals"]),
        points=points,
        others=tuple(others),
        total=document["evaluated"],
        knee=None if knee is None else next(point for point in points if point.architecture.digest == knee),
    )


@from_the_server
def left_out(document: Mapping[str, Any]) -> int:
    """How many points off the front an answer does not hold."""
    return int(document["left_out"])


def whole_front(records: Sequence[EvaluationRecord], spec: StudySpec) -> Front:
    """The front of all evaluations of a study, where they are too many for one answer."""
    found = compute_front(records, spec.goals, spec.bounds)
    return Front(goals=found.goals, points=found.points, others=found.others, knee=found.knee, total=found.evaluated)


def _point(document: Mapping[str, Any]) -> Point:
    return Point(
        evaluation_id=document["evaluation_id"],
        architecture=architecture_from(document["architecture"]),
        values=_by_metric(document["values"]),
        later={fidelity: _by_metric(values) for fidelity, values in document["later"].items()},
    )


def _by_metric(values: Iterable[Mapping[str, Any]]) -> dict[str, ValueRecord]:
    return {value.metric: value for value in map(value_from, values)}
