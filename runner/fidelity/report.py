"""What a comparison found: a value that is made from rows, kept in an event, and read by the command and the page.

Owns its numbers and its JSON; statistics are `predictors.fidelity`'s, sentences `words`'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.bootstrap import RESAMPLES, Estimate, resampled
from predictors.fidelity import Ceiling, Comparison, ceiling_of, compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.store.records import EventRecord

    Floats = NDArray[np.float64]

EVENT = "fidelity.report"
INHERITED, RETRAINED, EXPORTED, COST = "inherited", "retrained", "exported", "cost"
KINDS = (INHERITED, RETRAINED, EXPORTED, COST)
NEAR_SHARE, NEAR_FEWEST = 0.3, 8  # of the architectures: those whose cost is nearest to the knee's


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One sampled architecture with all that is known of it; None for what is not."""

    digest: str
    cost: float
    inherited: float | None
    retrained: float | None
    exported: float | None
    alone: tuple[float | None, ...]  # by seed

    @property
    def trained(self) -> tuple[float, ...]:
        """The scores of its trainings alone."""
        return tuple(score for score in self.alone if score is not None)

    @property
    def mean(self) -> float | None:
        """Over the seeds."""
        return sum(self.trained) / len(self.trained) if self.trained else None


@dataclass(frozen=True, kw_only=True)
class NearKnee:
    """The same for the architectures that cost about as much as the knee: there the supernet has to choose."""

    count: int
    cheapest: float
    dearest: float
    inherited: Comparison
    ceiling: Ceiling | None


@dataclass(frozen=True, kw_only=True)
class FidelityReport:
    """Everything that the comparison of a study shows, as far as it has come."""

    metric: str
    goal: str
    cost: str
    steps: int  # of a training alone
    seeds: tuple[int, ...]
    wanted: int  # trainings alone that were asked for
    done: int  # of them
    failed: int  # of those done: they diverged, or their workers were lost again and again
    architectures: tuple[Compared, ...]
    comparisons: Mapping[str, Comparison]  # by kind of score; those that were asked for and have enough architectures
    ceiling: Ceiling | None
    near_knee: NearKnee | None
    random_regret: float | None  # of choosing any architecture at random

    @property
    def complete(self) -> bool:
        """Whether every training that was asked for has ended."""
        return self.done == self.wanted

    @property
    def trained(self) -> int:
        """How many architectures have at least one score of their own."""
        return sum(bool(one.trained) for one in self.architectures)

    def chosen(self) -> tuple[Compared, ...]:
        """The architecture that the supernet ranks best among those trained; several where they share the score."""
        known = [one for one in self.architectures if one.trained and one.inherited is not None]
        if not known:
            return ()
        pick = min if self.goal == "minimize" else max
        best = pick(one.inherited for one in known if one.inherited is not None)
        return tuple(one for one in known if one.inherited == best)

    def to_json(self) -> dict[str, Any]:
        """Plain values without NaN."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FidelityReport:
        """What `to_json` wrote.  Raises `KeyError` or `TypeError` where another version did."""
        near = data["near_knee"]
        return cls(
            **{
                **data,
                "seeds": tuple(data["seeds"]),
                "architectures": tuple(
                    Compared(**{**one, "alone": tuple(one["alone"])}) for one in data["architectures"]
                ),
                "comparisons": {kind: _comparison(one) for kind, one in data["comparisons"].items()},
                "ceiling": _ceiling(data["ceiling"]),
                "near_knee": near
                and NearKnee(
                    **{**near, "inherited": _comparison(near["inherited"]), "ceiling": _ceiling(near["ceiling"])}
                ),
            }
        )


def newest_report(events: Sequence[EventRecord]) -> FidelityReport | None:
    """The last report of a study; None where there is none that this version can read."""
    for event in reversed(events):
        if event.kind == EVENT:
            try:
                return FidelityReport.from_json(event.payload)
            except (KeyError, TypeError, AttributeError):
                return None
    return None


def make_report(
    architectures: Sequence[Compared],
    *,
    metric: str,
    goal: str,
    cost: str,
    steps: int,
    seeds: Sequence[int],
    wanted: int,
    done: int,
    failed: int,
    knee_cost: float | None,
    seed: int,
) -> FidelityReport:
    """All statistics of these architectures.  The same architectures and seed give the same report."""
    ordered = sorted(architectures, key=lambda one: (one.cost, one.digest))  # not in the order of training
    table = _Table(ordered, goal, len(seeds))
    times_BN = resampled(len(ordered), seed, RESAMPLES)
    return FidelityReport(
        metric=metric,
        goal=goal,
        cost=cost,
        steps=steps,
        seeds=tuple(seeds),
        wanted=wanted,
        done=done,
        failed=failed,
        architectures=tuple(ordered),
        comparisons=table.comparisons(times_BN),
        ceiling=ceiling_of(table.alone_NS, times_BN),
        near_knee=_near_knee(ordered, goal, len(seeds), knee_cost, seed),
        random_regret=table.random_regret(),
    )


class _Table:
    """The numbers of some architectures as arrays, turned so that smaller is better."""

    def __init__(self, architectures: Sequence[Compared], goal: str, seeds: int) -> None:
        sign = 1.0 if goal == "minimize" else -1.0
        self.alone_NS = sign * np.array([_numbers(one.alone) for one in architectures]).reshape(-1, seeds)
        self.scores: dict[str, Floats] = {
            kind: sign * np.array(_numbers([getattr(one, kind) for one in architectures]))
            for kind in (INHERITED, RETRAINED, EXPORTED)
        }
        self.scores[COST] = -np.array([one.cost for one in architectures])  # more ought to be better

    def comparisons(self, times_BN: Floats) -> dict[str, Comparison]:
        made = {kind: compare(scores_N, self.alone_NS, times_BN) for kind, scores_N in self.scores.items()}
        return {kind: comparison for kind, comparison in made.items() if comparison is not None}

    def random_regret(self) -> float | None:
        columns = [column[np.isfinite(column)] for column in self.alone_NS.T]
        regrets = [column.mean() - column.min() for column in columns if len(column)]
        return float(np.mean(regrets)) if regrets else None


def _near_knee(
    ordered: Sequence[Compared], goal: str, seeds: int, knee_cost: float | None, seed: int
) -> NearKnee | None:
    """Those with the ranks of cost that are nearest to where the knee would stand."""
    known = [one for one in ordered if one.trained and one.inherited is not None]
    count = max(NEAR_FEWEST, round(NEAR_SHARE * len(known)))
    if knee_cost is None or len(known) < 2 * count:
        return None
    place = sum(one.cost < knee_cost for one in known)
    start = min(max(place - count // 2, 0), len(known) - count)
    near = known[start : start + count]
    table, times_BN = _Table(near, goal, seeds), resampled(count, seed, RESAMPLES)
    inherited = compare(table.scores[INHERITED], table.alone_NS, times_BN)
    if inherited is None:
        return None
    return NearKnee(
        count=count,
        cheapest=near[0].cost,
        dearest=near[-1].cost,
        inherited=inherited,
        ceiling=ceiling_of(table.alone_NS, times_BN),
    )


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _estimate(data: Mapping[str, Any]) -> Estimate:
    return Estimate(**{name: math.nan if value is None else value for name, value in data.items()})


def _comparison(data: Mapping[str, Any]) -> Comparison:
    found = {name: _read(value) for name, value in data.items()}
    if data["share"] is None:
        found["share"] = None
    return Comparison(**found)


def _ceiling(data: Mapping[str, Any] | None) -> Ceiling | None:
    return None if data is None else Ceiling(**{name: _read(value) for name, value in data.items()})


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _estimate(value)
    return math.nan if value is None else value
