"""One study at work: what its stages share.

Owns the objects that are made once a run (weights, timer), the folder of the study, and how an architecture with
shared weights becomes a row of the record.  What is done in which order is `pipeline`'s.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from runner.errors import Interrupted, NonFiniteScore
from runner.front import INHERITED, Front, compute_front
from runner.progress import Reporter, Stop, never
from runner.store.records import Failure, NewEvaluation, ValueRecord
from runner.study import LATENCY
from runner.timing import StudyTimer
from runner.validation import computed_costs
from supernet.shared_weights import SharedWeights
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import HealthPoint, LoopConfig, Watcher
from supernet.training.supernet import score_inherited

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from predictors.latency.benchmark import LatencyMeasurement
    from runner.settings import Home
    from runner.store.records import EvaluationRecord, Provenance, StudyRecord
    from runner.store.repository import Repository
    from runner.validation import Plan
    from search_spaces import Architecture


class StudyWork:
    """What the stages of one study work with."""

    def __init__(
        self,
        *,
        plan: Plan,
        study: StudyRecord,
        repository: Repository,
        home: Home,
        reporter: Reporter,
        stop: Stop = never,
    ) -> None:
        self.plan = plan
        self.spec = plan.spec
        self.study = study
        self.repository = repository
        self.home = home
        self.reporter = reporter
        self.stop = stop
        self.folder = home.study(study.id)

    # Parts made once

    @cached_property
    def weights(self) -> SharedWeights:
        """The shared weights as initialised; the train stage trains them, the others restore them."""
        return SharedWeights(self.plan.build, self.plan.space, seed=self.spec.seed)

    @cached_property
    def timer(self) -> StudyTimer:
        """Times architectures; only where latency is an objective."""
        objective, device_id = self.spec.latency, self.study.device_id
        assert objective is not None
        assert device_id is not None
        return StudyTimer(self.repository, self.home, objective, device_id)

    @property
    def train_config(self) -> LoopConfig:
        """How the supernet is trained."""
        train = self.spec.train
        return LoopConfig(
            steps=train.steps,
            batch=train.batch,
            learning_rate=train.learning_rate,
            weight_decay=train.weight_decay,
            seed=self.spec.seed,
        )

    def close(self) -> None:
        """End what runs beside this process."""
        if "timer" in vars(self):
            self.timer.close()

    def checkpoints(self, name: str) -> Checkpoints:
        """The checkpoints of one training run of this study."""
        return Checkpoints(self.folder / name, on_damaged=self.reporter.note)

    def watcher(self, health: Callable[[HealthPoint], None] = lambda point: None) -> Watcher:
        """Follows a training run for the reporter, and for whoever wants its health curve."""
        return Watcher(
            progress=lambda done, total, loss: self.reporter.progress(done, total, f"loss {loss:.3f}"),
            health=health,
            stop=self.stop,
        )

    def pause_if_asked(self) -> None:
        """Raises `Interrupted` where someone asked to stop; called between two rows of the record."""
        if self.stop():
            raise Interrupted("stopped as asked; everything measured so far is kept")

    # The record

    def evaluations(self) -> tuple[EvaluationRecord, ...]:
        """Every evaluation of this study so far."""
        return self.repository.evaluations(self.study.id)

    def front(self) -> Front:
        """The front as the record stands now."""
        return compute_front(self.evaluations(), self.plan.goals, self.plan.bounds)

    def time(self, module: nn.Module) -> LatencyMeasurement:
        """Export a module and time the file on this device; nothing is recorded."""
        return self.timer.time_module(module, self.plan.task.example(2))

    def keep_measurement(self, architecture: Architecture, fidelity: str, measured: LatencyMeasurement) -> None:
        """Record all percentiles of a latency, after its value was committed: the value is what a front shows."""
        self.timer.record(self.study.id, architecture, fidelity, measured)

    def record_inherited(
        self,
        architecture: Architecture,
        origin: str,
        *,
        latency: ValueRecord | None,
        scores: Mapping[str, float],
        started: float,
    ) -> EvaluationRecord:
        """Commit one architecture with shared weights: its scores, computed costs and latency, in one row."""
        values = [ValueRecord(metric=name, value=value, provenance="inherited") for name, value in scores.items()]
        values += [
            ValueRecord(metric=name, value=value, provenance="computed")
            for name, value in computed_costs(architecture, self.plan).items()
        ]
        return self.record(architecture, INHERITED, origin, [*values, *([latency] if latency else [])], started)

    def record(
        self,
        architecture: Architecture,
        fidelity: str,
        origin: str,
        values: Sequence[ValueRecord],
        started: float,
        failure: Failure | None = None,
    ) -> EvaluationRecord:
        """Commit one evaluation; recording the same one at the same fidelity again changes nothing."""
        row, _ = self.repository.record_evaluation(
            self.study.id,
            NewEvaluation(
                digest=architecture.digest,
                architecture_json=architecture.to_json(),
                fidelity=fidelity,
                seed=self.spec.seed,
                origin=origin,
                values=tuple(values),
                failure=failure,
                duration_ms=(time.monotonic() - started) * 1000,
            ),
        )
        return row

    def record_failure(
        self, architecture: Architecture, origin: str, kind: str, message: str, started: float
    ) -> EvaluationRecord:
        """Commit that an architecture with shared weights could not be evaluated, and why."""
        self.reporter.note(f"{architecture.digest} failed ({kind}): {message}")
        return self.record(architecture, INHERITED, origin, (), started, Failure(kind=kind, message=message))

    def score(self, architecture: Architecture) -> dict[str, float]:
        """Validation metrics with shared weights.  Raises `NonFiniteScore`."""
        scores = score_inherited(self.weights, architecture, self.plan.task, self.train_config)
        for name, score in scores.items():
            if not math.isfinite(score):
                raise NonFiniteScore(f"{name} is {score}: the outputs of {architecture.digest} are not finite")
        return scores

    def path(self, *parts: str) -> Path:
        """A path in the folder of this study."""
        return self.folder.joinpath(*parts)


def latency_value(measured: LatencyMeasurement, provenance: Provenance, device_id: str) -> ValueRecord:
    """A measured latency as a value: the median with its 90 % interval."""
    return ValueRecord(
        metric=LATENCY,
        value=measured.p50_ms,
        lower=measured.lower_ms,
        upper=measured.upper_ms,
        provenance=provenance,
        device_id=device_id,
    )
