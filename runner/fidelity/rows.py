"""The rows that a comparison writes, under fidelities of its own, so that neither front nor search sees them.

Owns the names of these fidelities and the seeds of the trainings: both are part of a row's key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.front import INHERITED, best_values
from runner.store.checks import recordable
from runner.store.records import Failure, NewEvaluation, ValueRecord

if TYPE_CHECKING:
    from runner.store.records import EvaluationRecord, Provenance
    from runner.work import StudyWork
    from search_spaces import Architecture

ALONE = "alone"
SAMPLED = "sampled"  # the score with shared weights of an architecture that the search never evaluated, and its cost
SAMPLED_RETRAINED = "sampled-retrained"
SAMPLED_EXPORTED = "sampled-exported"
ORIGIN = "fidelity"

DIVERGED = "non_finite"  # the one failure that a training has by itself: its loss or its scores are not finite


def alone(steps: int, study_steps: int) -> str:
    """The fidelity of a training alone.  Other steps than the supernet's are another fidelity: they score otherwise."""
    return ALONE if steps == study_steps else f"{ALONE}-{steps}"


def seed_of(study_seed: int, repeat: int) -> int:
    """The seed of the n-th training alone, from 0: none is the study's own, with which the supernet was trained."""
    return study_seed + 1 + repeat


@dataclass(frozen=True)
class Key:
    """What one row is about."""

    digest: str
    fidelity: str
    seed: int


class Ledger:
    """The rows of one study that a comparison reads and writes."""

    def __init__(self, work: StudyWork) -> None:
        self._work = work
        self._rows = {
            Key(row.digest, row.fidelity, row.seed): row for row in work.repository.evaluations(work.study.id)
        }

    @property
    def rows(self) -> Sequence[EvaluationRecord]:
        """All rows of the study."""
        return list(self._rows.values())

    def holds(self, architecture: Architecture, fidelity: str, seed: int) -> bool:
        """Whether this was done, or failed for good."""
        return Key(architecture.digest, fidelity, seed) in self._rows

    def searched(self, architecture: Architecture, seed: int) -> dict[str, float]:
        """What the search measured of it with shared weights; empty where it did not."""
        row = self._rows.get(Key(architecture.digest, INHERITED, seed))
        metrics = self._work.plan.task.metrics
        known = best_values(() if row is None else (v for v in row.values if v.provenance == "inherited"))
        return {name: known[name].value for name in metrics} if set(metrics) <= set(known) else {}

    def enter(
        self,
        architecture: Architecture,
        fidelity: str,
        seed: int,
        scores: Mapping[str, float],
        provenance: Provenance,
        *,
        computed: Mapping[str, float] | None = None,
        seconds: float | None = None,
        attempt: int = 1,
    ) -> None:
        """Commit scores; as a failure where one of them is not finite."""
        strange = [name for name, value in scores.items() if not math.isfinite(value)]
        if strange:
            self.fail(architecture, fidelity, seed, DIVERGED, f"{', '.join(strange)} of it is not finite")
            return
        values = [ValueRecord(metric=name, value=value, provenance=provenance) for name, value in scores.items()]
        values += [ValueRecord(metric=n, value=value, provenance="computed") for n, value in (computed or {}).items()]
        self._commit(
            NewEvaluation(
                digest=architecture.digest,
                architecture_json=architecture.to_json(),
                fidelity=fidelity,
                seed=seed,
                origin=ORIGIN,
                values=tuple(values),
                duration_ms=None if seconds is None else 1000 * seconds,
                attempt=attempt,
            )
        )

    def fail(
        self, architecture: Architecture, fidelity: str, seed: int, kind: str, message: str, attempt: int = 1
    ) -> None:
        """Commit that this cannot be done."""
        self._work.reporter.note(f"{architecture.digest}, {fidelity}, seed {seed}: {message}")
        self._commit(
            NewEvaluation(
                digest=architecture.digest,
                architecture_json=architecture.to_json(),
                fidelity=fidelity,
                seed=seed,
                origin=ORIGIN,
                failure=Failure(kind=kind, message=recordable(message)),
                attempt=attempt,
            )
        )

    def _commit(self, evaluation: NewEvaluation) -> None:
        work = self._work
        row, _ = work.commit(lambda: work.repository.record_evaluation(work.study.id, evaluation))
        self._rows[Key(row.digest, row.fidelity, row.seed)] = row


def score_in(rows: Mapping[Key, EvaluationRecord], key: Key, metric: str) -> float:
    """The value of a metric in the row with this key; NaN where there is none."""
    row = rows.get(key)
    if row is None or row.failure is not None:
        return math.nan
    found = best_values(row.values).get(metric)
    return math.nan if found is None else found.value
