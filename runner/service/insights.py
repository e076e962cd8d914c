"""What decides about the objectives of a study, computed for answers and kept until the study changes.

Owns which evaluations are looked at; what is made of them, `runner.insight` says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from runner.insight.encoding import read_answers, units_of
from runner.insight.importances import judge
from runner.insight.rules import find_rules
from runner.service.fronts import spec_of
from runner.service.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from runner.insight.importances import Judged
    from runner.insight.rules import Rule
    from runner.service.fronts import Fronts
    from runner.store import Repository, StudyRecord
    from runner.study import StudySpec

LOOKED_AT = 3_000  # evaluations: more change nothing but the time
FEWEST = 12
_KEPT = 32  # studies
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Insight:
    """Which choices decide, as far as the evaluations tell."""

    evaluations: int  # looked at
    of: int
    reason: str | None  # why there is nothing
    metrics: Mapping[str, Judged]
    rules: tuple[Rule, ...]


class Insights:
    """What one server process has computed."""

    def __init__(self, fronts: Fronts) -> None:
        self._fronts = fronts
        self._kept: Kept[Insight] = Kept(_KEPT)

    def of(self, repository: Repository, study: StudyRecord) -> Insight:
        """What decides in a study.  Raises `Problem` where its specification cannot be read."""
        spec = spec_of(study)
        return self._kept.of(repository, study, lambda: self._alone(repository, study, spec))

    def _alone(self, repository: Repository, study: StudyRecord, spec: StudySpec) -> Insight:
        # Small matrices: on a busy machine BLAS threads wait for each other far longer than they compute.
        with threadpool_limits(1, user_api="blas"):
            return self._computed(repository, study, spec)

    def _computed(self, repository: Repository, study: StudyRecord, spec: StudySpec) -> Insight:
        table = self._fronts.table(repository, study, tuple(spec.goals))
        numbers = {metric: table.numbers(repository, metric).values for metric in spec.goals}
        rows = np.flatnonzero(table.counts & np.all([np.isfinite(values) for values in numbers.values()], axis=0))
        if len(rows) < FEWEST:
            reason = (
                f"{len(rows)} architectures have a number for every objective; from {FEWEST} on they say something."
            )
            return _nothing(len(rows), reason)
        some = _drawn(rows)
        texts = repository.architectures_of(study.id, [table.ids[row] for row in some])
        answers = read_answers([json.loads(texts[table.ids[row]]) for row in some])
        if not answers:
            return _nothing(len(rows), "All evaluated architectures have the same answer to every choice.")
        targets = {metric: values[some] for metric, values in numbers.items()}
        maximized = [metric for metric, goal in spec.goals.items() if goal == "maximize"]
        units = units_of(answers)
        return Insight(
            evaluations=len(some),
            of=len(rows),
            reason=None,
            metrics={
                metric: judge(units, values, maximize=metric in maximized, seed=_SEED)
                for metric, values in targets.items()
            },
            rules=find_rules(answers, targets, maximized, seed=_SEED),
        )


def _nothing(count: int, reason: str) -> Insight:
    return Insight(evaluations=0, of=count, reason=reason, metrics={}, rules=())


def _drawn(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(rows) <= LOOKED_AT:
        return rows
    return np.sort(np.random.default_rng(_SEED).choice(rows, size=LOOKED_AT, replace=False))
