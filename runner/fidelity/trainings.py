"""One training of a comparison, in whatever process: alone from fresh weights, or on from inherited ones.

Owns what such a training is made of: the study's own recipe.  It needs neither the record nor Ray; finished trainings
are for `campaign` to record, unfinished ones lie in a folder as checkpoints.
"""

from __future__ import annotations

import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from runner.fidelity.rows import DIVERGED
from runner.parallel.folder_lock import alone
from runner.parallel.trials import TrialSettings
from runner.recipes import open_teacher
from runner.registered.values import NOTHING, Registered
from runner.scoring import shared_weights_of, train_config
from runner.stages.retrain_trial import retrain_config, teacher_of_points
from runner.study import recorded_spec
from runner.validation import resolve
from supernet.errors import ExportError, NonFiniteLoss
from supernet.export.onnx import export_onnx
from supernet.export.runtime import Session
from supernet.skeleton import build_real
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import LoopConfig, Watcher
from supernet.training.retrain import retrain
from supernet.training.supernet import extract_recalibrated

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from runner.validation import Plan
    from search_spaces import Architecture
    from supernet.pretrained.ranked import LayerRanks
    from supernet.shared_weights import SharedWeights
    from supernet.training.distillation import Teacher
    from supernet.training.precision import Precision

FAILED = "failure"  # in what a training returns in place of scores: why it has none
EXPORTED = "exported "  # before the name of a metric: of the exported file
_CHECKPOINTS = 4  # at least, in the course of a training
_STEPS_BETWEEN = 200  # two checkpoints, at most
_PATIENCE_SECONDS = 120.0  # for a process of an earlier call to let go of a folder


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """Makes what trains architectures with one seed, in any process; plain values, and small.

    folder       a folder for each architecture is made in it
    stop_file    while it exists, trainings write a checkpoint and stop
    arrays       that are given to it are the shared weights, where it starts from them
    """

    spec: str  # of the study, as JSON
    name: str
    folder: Path
    stop_file: Path
    steps: int
    seed: int
    precision: Precision = "fp32"
    inherited: bool = False
    exported: bool = False
    registered: Registered = NOTHING  # a worker does not look into the state folder
    layer_ranks: LayerRanks = ()

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> Training:
        """Ready to train in this process."""
        planned = resolve(recorded_spec(self.spec, self.name), self.registered)
        if self.inherited:
            return _FromInherited(self, planned, shared_weights_of(planned, arrays, self.layer_ranks))
        return _FromFresh(self, planned, open_teacher(planned))


class Training(ABC):
    """Trains one architecture to the end, from its newest checkpoint, and gives its validation metrics.

    Where the training diverges it gives the reason, under `FAILED`.  Raises `Stopped` where it is asked to stop, and
    what `Loop.run` raises besides.
    """

    def __init__(self, job: TrainingJob, planned: Plan) -> None:
        self.job, self.planned = job, planned
        self.stop: Callable[[], bool] = job.stop_file.exists

    def __call__(self, architecture: Architecture) -> dict[str, Any]:
        """Scores by metric, or a failure."""
        folder = training_folder(self.job, architecture)
        try:
            with alone(folder, _PATIENCE_SECONDS):
                return self.train(architecture, Checkpoints(folder), Watcher(stop=self.stop))
        except NonFiniteLoss as error:
            return {FAILED: str(error)}

    @abstractmethod
    def train(self, architecture: Architecture, checkpoints: Checkpoints, watcher: Watcher) -> dict[str, Any]:
        """What a kind of training does."""


class _FromFresh(Training):
    """Trained alone: the supernet's own steps, batch, rate, decay, warm-up, smoothing and averaging, for one network.

    It learns from the labels, and from the study's teacher where it names one; never from another subnet.
    """

    def __init__(self, job: TrainingJob, planned: Plan, teacher: Teacher | None) -> None:
        super().__init__(job, planned)
        self._teacher = teacher

    def train(self, architecture: Architecture, checkpoints: Checkpoints, watcher: Watcher) -> dict[str, Any]:
        job, task = self.job, self.planned.task
        module = build_real(self.planned.build, architecture, job.seed)
        config = replace(train_config(self.planned.spec, job.precision), steps=job.steps, seed=job.seed)
        curve = retrain(
            module, task, _measured_once(config), teacher=self._teacher, checkpoints=checkpoints, watcher=watcher
        )
        return dict(curve[-1].values)


class _FromInherited(Training):
    """Trained on from shared weights, as the first trial of a retrained point, and taught by whom it is taught.

    From shared weights also where the study retrains its points from scratch: that is what this kind is about.
    """

    def __init__(self, job: TrainingJob, planned: Plan, weights: SharedWeights) -> None:
        super().__init__(job, planned)
        self._weights = weights

    def train(self, architecture: Architecture, checkpoints: Checkpoints, watcher: Watcher) -> dict[str, Any]:
        spec, task = self.planned.spec, self.planned.task
        student = extract_recalibrated(self._weights, architecture, task, train_config(spec))
        teacher = teacher_of_points(self.planned, self._weights)
        first = TrialSettings(index=0, learning_rate=spec.retrain.learning_rate, weight_decay=spec.retrain.weight_decay)
        config = retrain_config(spec, first, self.job.precision)
        curve = retrain(
            student, task, _measured_once(config), teacher=teacher, checkpoints=checkpoints, watcher=watcher
        )
        scores: dict[str, Any] = dict(curve[-1].values)
        if self.job.exported and all(math.isfinite(score) for score in scores.values()):
            scores |= {f"{EXPORTED}{name}": value for name, value in self._score_file(student.eval()).items()}
        return scores

    def _score_file(self, module: nn.Module) -> dict[str, Any]:
        """Validation metrics of the exported file, one sample at a time as it is used; or why there is no file."""
        task = self.planned.task
        with tempfile.TemporaryDirectory(prefix="supernaut-") as scratch:
            path = Path(scratch) / "model.onnx"
            try:
                export_onnx(module, task.example(2), path)
                session = Session(path)
                outputs = np.concatenate([session.run_each(batch.numpy()) for batch in task.validation.batches()])
            except ExportError as error:
                return {FAILED: str(error)}
        return task.measure(torch.from_numpy(outputs), task.validation.targets)


def training_folder(job: TrainingJob, architecture: Architecture) -> Path:
    """Where the checkpoints of one training lie."""
    return job.folder / architecture.digest


def _measured_once(config: LoopConfig) -> LoopConfig:
    """Scored at the end alone, and with enough checkpoints that a cut-off training loses little."""
    every = max(1, min(_STEPS_BETWEEN, config.steps // _CHECKPOINTS))
    return replace(config, health_every=config.steps, checkpoint_every=every)


def diverged(returned: Mapping[str, Any]) -> tuple[str, str] | None:
    """The kind and the message of the failure that a training returned, if it did."""
    return (DIVERGED, str(returned[FAILED])) if FAILED in returned else None
