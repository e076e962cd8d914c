"""One study at work: what its stages share.

Owns the objects that are made once a run (weights, workers, timer), the folder of the study, and how rows are
committed.  What is done in which order is `pipeline`'s.
"""

from __future__ import annotations

import os
import random
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from predictors.latency.device import usable_cores
from runner.errors import Interrupted
from runner.front import INHERITED, Front, compute_front
from runner.parallel.serial import SerialExecutor
from runner.pretrained import recorded_ranks
from runner.progress import Reporter, Stop, never
from runner.scoring import Scorer, ScorerFactory, arrays_of
from runner.store.errors import StoreUnavailable
from runner.store.patience import patiently
from runner.store.records import NewEvaluation, ValueRecord
from runner.timing import StudyTimer
from runner.worker_pools import WorkerPools
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import HealthPoint, Watcher

if TYPE_CHECKING:
    from pathlib import Path

    from predictors.latency.benchmark import LatencyMeasurement
    from runner.parallel.shared_arrays import Array
    from runner.parallel.worker import EvaluatorFactory
    from runner.search.engine import Executor
    from runner.settings import Home
    from runner.store.records import EvaluationRecord, Provenance, StudyRecord
    from runner.store.repository import Repository
    from runner.study import StudySpec
    from runner.validation import Plan
    from search_spaces import Architecture
    from supernet.shared_weights import SharedWeights

Result = TypeVar("Result")

PATIENCE_S = 120.0  # for a record that is locked or whose disk is full


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
        self._pools = WorkerPools(reporter)  # one Ray for all stages: the trials of the retraining find it running
        # One process in one life of it, never two: who may settle what it reserved.
        self.owner = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"

    # Parts made once

    @cached_property
    def weights(self) -> SharedWeights:
        """The shared weights as initialised; the train stage trains them, the others restore them."""
        return self.plan.shared_weights(layer_ranks=recorded_ranks(self))

    @cached_property
    def timer(self) -> StudyTimer:
        """Times architectures; only where latency is an objective."""
        device_id = self.study.device_id
        assert device_id is not None
        return StudyTimer(self.repository, self.home, self.spec.latencies, device_id)

    @cached_property
    def executor(self) -> Executor:
        """What scores architectures with the weights as they are now: this process, or workers of its own.

        `close_executor` ends the workers, so that something else can have their cores.
        """
        if self.workers == "serial":
            return SerialExecutor(Scorer(self.plan, self.weights))
        return self.pool(
            ScorerFactory(**self.rebuilding), arrays_of(self.weights), time_limit_s=self.spec.search.time_limit_s
        )

    @cached_property
    def workers(self) -> int | Literal["serial"]:
        """How many worker processes this study has on this machine."""
        return worker_count(self.spec)

    @property
    def rebuilding(self) -> dict[str, Any]:
        """What another process needs, beside arrays, to make the weights of this study again."""
        return {
            "spec": self.study.spec,
            "name": self.study.name,
            "registered": self.plan.registered,
            "layer_ranks": recorded_ranks(self),
        }

    def pool(self, factory: EvaluatorFactory, arrays: Mapping[str, Array], **options: Any) -> Executor:
        """New workers that do what the factory makes, as many as the study has; the caller closes them.

        `options` are those of `WorkerPools.pool`.
        """
        options.setdefault("workers", self.workers)
        size = sum(array.nbytes for array in arrays_of(self.weights).values())
        return self._pools.pool(factory, arrays, weight_bytes=size, **options)

    def close_executor(self) -> None:
        """End the workers, if any were started; a later evaluation starts new ones."""
        executor = vars(self).pop("executor", None)
        if executor is not None:
            executor.close()

    def close(self) -> None:
        """End what runs beside this process, and give back what was reserved and will not be done.

        Each part is ended whatever becomes of the others: Ray may be gone already.
        """
        with ExitStack() as last_first:
            if "timer" in vars(self):
                last_first.callback(self.timer.close)
            last_first.callback(self._release)
            last_first.callback(self._pools.close)
            last_first.callback(self.close_executor)

    def _release(self) -> None:
        # A process that is killed cannot do this: only such ends count as failed attempts of an architecture.
        with suppress(StoreUnavailable):
            self.repository.release(self.study.id, self.owner)

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

    def time(
        self, evaluation_id: int, architecture: Architecture, metrics: Iterable[str], files: Mapping[str, bytes]
    ) -> None:
        """Time the files of an architecture with shared weights; each latency is recorded as soon as it is known."""
        for metric in metrics:
            measured = self.timer.time_content(metric, files[metric])
            value = latency_value(metric, measured, "inherited", self.timer.device_id)
            self.commit(lambda value=value: self.repository.add_value(evaluation_id, value))  # type: ignore[misc]
            self.keep_measurement(architecture, INHERITED, metric, measured)

    def keep_measurement(
        self, architecture: Architecture, fidelity: str, metric: str, measured: LatencyMeasurement
    ) -> None:
        """Record all percentiles of a latency, after its value was committed: the value is what a front shows."""
        self.commit(lambda: self.timer.record(self.study.id, architecture, fidelity, metric, measured))

    def record(
        self,
        architecture: Architecture,
        fidelity: str,
        origin: str,
        values: Sequence[ValueRecord],
        started: float,
    ) -> EvaluationRecord:
        """Commit one evaluation; recording the same one at the same fidelity again changes nothing."""
        evaluation = NewEvaluation(
            digest=architecture.digest,
            architecture_json=architecture.to_json(),
            fidelity=fidelity,
            seed=self.spec.seed,
            origin=origin,
            values=tuple(values),
            duration_ms=(time.monotonic() - started) * 1000,
        )
        row, _ = self.commit(lambda: self.repository.record_evaluation(self.study.id, evaluation))
        return row

    def commit(self, action: Callable[[], Result]) -> Result:
        """What `action` returns, which writes to the record; waits while the record is locked or its disk full.

        Raises `StoreUnavailable` where that lasts too long, or where someone asks to stop meanwhile.
        """
        return patiently(action, patience_s=PATIENCE_S, waiting=self.reporter.note, stop=self.stop, rng=random.Random())

    def path(self, *parts: str) -> Path:
        """A path in the folder of this study."""
        return self.folder.joinpath(*parts)


def latency_value(metric: str, measured: LatencyMeasurement, provenance: Provenance, device_id: str) -> ValueRecord:
    """A measured latency as a value: the median with its 90 % interval."""
    return ValueRecord(
        metric=metric,
        value=measured.p50_ms,
        lower=measured.lower_ms,
        upper=measured.upper_ms,
        provenance=provenance,
        device_id=device_id,
    )


def worker_count(spec: StudySpec) -> int | Literal["serial"]:
    """How many worker processes score the architectures of a study on this machine."""
    if spec.search.workers == "auto":
        cores = usable_cores()
        return cores if cores > 1 else "serial"
    return spec.search.workers
