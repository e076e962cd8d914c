"""Stage 5: train the chosen points of the front on their own, taught by the largest subnet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from runner.errors import Interrupted
from runner.front import RETRAINED, choose
from runner.store.records import ValueRecord
from supernet.tasks.task import score
from supernet.training.loop import LoopConfig, Stopped, restore
from supernet.training.retrain import retrain

if TYPE_CHECKING:
    from torch import nn

    from runner.work import StudyWork
    from search_spaces import Architecture


def run(work: StudyWork) -> dict[str, Any]:
    """Retrain every point that the specification names."""
    chosen = choose(work.front(), work.spec.retrain.points)
    for position, point in enumerate(chosen, start=1):
        work.reporter.note(f"retraining {point.architecture.digest} ({position} of {len(chosen)})")
        retrain_point(work, point.architecture)
    return {"architectures": [point.architecture.digest for point in chosen]}


def retrain_point(work: StudyWork, architecture: Architecture) -> nn.Module:
    """Retrain one architecture to the end, from its newest checkpoint, and record its validation scores."""
    started = time.monotonic()
    module = work.weights.extract(architecture)
    teacher = work.weights.extract(work.plan.space.largest())
    try:
        retrain(
            module,
            work.plan.task,
            config(work),
            teacher=teacher,
            checkpoints=work.checkpoints(folder(architecture)),
            watcher=work.watcher(),
        )
    except Stopped as stopped:
        raise Interrupted(f"{stopped}; a checkpoint of it is kept") from stopped
    scores = score(module, work.plan.task.validation)
    values = [ValueRecord(metric=name, value=value, provenance="retrained") for name, value in scores.items()]
    work.record(architecture, RETRAINED, "retrain", values, started)
    return module.eval()


def retrained_module(work: StudyWork, architecture: Architecture) -> nn.Module:
    """The retrained module of an architecture; trains what is missing."""
    checkpoint = work.checkpoints(folder(architecture)).latest()
    if checkpoint is None or checkpoint.step < work.spec.retrain.steps:
        return retrain_point(work, architecture)
    module = work.weights.extract(architecture)
    restore(module, checkpoint.tensors, str(checkpoint.path))
    return module.eval()


def config(work: StudyWork) -> LoopConfig:
    """How a point is retrained."""
    spec = work.spec.retrain
    return LoopConfig(
        steps=spec.steps,
        batch=spec.batch,
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
        seed=work.spec.seed,
    )


def folder(architecture: Architecture) -> str:
    """Where the checkpoints of a retrained architecture lie within the study."""
    return f"retrained/{architecture.digest}"
