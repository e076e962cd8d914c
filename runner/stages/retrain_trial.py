"""Training of one trial of a chosen point, in a process that has nothing but a description of it.

Owns how a worker rebuilds what it trains; needs neither the record nor Ray.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from runner.errors import Conflict
from runner.recipes import open_retrain_teacher
from runner.registered.values import NOTHING, Registered
from runner.scoring import train_config
from runner.study import LARGEST, NOBODY, recorded_spec
from runner.validation import resolve
from search_spaces import Architecture
from supernet.errors import CheckpointError
from supernet.pretrained.ranked import ranked
from supernet.skeleton import build_real
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import HealthPoint, LoopConfig, Stopped, Watcher
from supernet.training.retrain import retrain
from supernet.training.snapshot import restore
from supernet.training.supernet import extract_recalibrated, recalibrated

if TYPE_CHECKING:
    from torch import nn

    from runner.parallel.trials import Trial, TrialSettings
    from runner.study import StudySpec
    from runner.validation import Plan
    from supernet.pretrained.ranked import LayerRanks
    from supernet.shared_weights import SharedWeights
    from supernet.training.distillation import Teacher
    from supernet.training.precision import Precision

REPORTS = 12  # over a training, so that a half and three quarters of it, where trials are compared, are among them


@dataclass(frozen=True, kw_only=True)
class RetrainJob:
    """Everything a worker needs to train one trial of a point; plain text, and small."""

    spec: str  # of the study, as JSON
    architecture: str  # as JSON
    supernet: Path  # the folder with the checkpoints of the trained shared weights
    precision: Precision = "fp32"
    threads: int = 1
    registered: Registered = NOTHING  # a worker does not look into the state folder
    layer_ranks: LayerRanks = ()
    teacher_sha256: str | None = None  # of the registered model that teaches, where one does

    def __call__(self, trial: Trial) -> None:
        """Train one trial from its newest checkpoint to the end, or until it is asked to stop.

        Raises what `Loop.run` raises, `CheckpointError` where the shared weights are not there, and `Conflict` where
        the registered teacher is another one than the study's.
        """
        planned, weights = _trained(self.spec, self.supernet, self.registered, self.layer_ranks)
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            retrain(
                self._student(planned, weights),
                planned.task,
                retrain_config(planned.spec, trial.settings, self.precision),
                teacher=self._teacher(planned, weights),
                checkpoints=Checkpoints(trial.folder),
                watcher=Watcher(health=lambda point: _report(trial, point), stop=trial.stop),
            )
        except Stopped:  # as it was asked to, with a checkpoint
            return
        finally:
            torch.set_num_threads(threads)

    def _student(self, planned: Plan, weights: SharedWeights) -> nn.Module:
        """What is trained, as it begins.

        With statistics of its own: short trainings would be compared by those of no data.
        """
        architecture, config = Architecture.from_json(self.architecture), train_config(planned.spec)
        if planned.spec.retrain.start == "inherited":
            return extract_recalibrated(weights, architecture, planned.task, config)
        # Initial values of its own, not slices of the largest network's, which are drawn for other widths.
        module = build_real(ranked(planned.build, self.layer_ranks), architecture, planned.spec.seed)
        return recalibrated(module, planned.task, config)

    def _teacher(self, planned: Plan, weights: SharedWeights) -> Teacher | None:
        teacher = open_retrain_teacher(planned)
        if teacher is None:
            return teacher_of_points(planned, weights)
        if teacher.sha256 != self.teacher_sha256:
            began = "none" if self.teacher_sha256 is None else self.teacher_sha256[:16]
            raise Conflict(
                f"the teacher {teacher.path} is not the one with which this retraining began (SHA-256 "
                f"{teacher.sha256[:16]}, not {began}); all workers must see the same file under this path."
            )
        return teacher


def teacher_of_points(planned: Plan, weights: SharedWeights) -> Teacher | None:
    """Who teaches the retrained points of a study.  Raises `SpecError` or `NotFound` where it is a file that is gone.

    It runs with as many threads as torch has now.
    """
    name = planned.spec.retrain.teacher
    if name == NOBODY:
        return None
    if name == LARGEST:
        return extract_recalibrated(weights, planned.space.largest(), planned.task, train_config(planned.spec))
    return open_retrain_teacher(planned)


def retrain_config(spec: StudySpec, settings: TrialSettings, precision: Precision) -> LoopConfig:
    """How a chosen architecture of a study is trained on with these settings."""
    steps = spec.retrain.steps
    return LoopConfig(
        steps=steps,
        batch=spec.retrain.batch,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup=spec.retrain.warmup,
        label_smoothing=spec.retrain.label_smoothing,
        ema=spec.retrain.ema,
        precision=precision,
        seed=spec.seed,
        health_every=math.ceil(steps / REPORTS),  # rounded up: a report just before a rung is none
    )


def _report(trial: Trial, point: HealthPoint) -> None:
    trial.report(point.step, point.values)


@lru_cache(maxsize=1)  # a process trains several trials one after another, and this takes seconds
def _trained(
    spec_json: str, folder: Path, registered: Registered, layer_ranks: LayerRanks
) -> tuple[Plan, SharedWeights]:
    """What the specification means, and the trained shared weights from `folder`; nobody changes them."""
    planned = resolve(recorded_spec(spec_json, "retrained"), registered)
    steps = planned.spec.train.steps
    weights = planned.shared_weights(layer_ranks=layer_ranks)
    checkpoint = Checkpoints(folder).latest()
    if checkpoint is None or checkpoint.step < steps:
        found = "nothing" if checkpoint is None else f"only step {checkpoint.step}"
        raise CheckpointError(
            f"the trained weights after step {steps} are not in {folder} ({found} is); a worker that retrains must see "
            "the study's folder under the same path."
        )
    restore(weights, checkpoint.tensors, str(checkpoint.path))
    return planned, weights
