"""Stage 1: train the shared weights, or restore them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import Interrupted
from supernet.errors import CheckpointError
from supernet.training.loop import HealthPoint, Stopped, restore
from supernet.training.sampling import Sandwich
from supernet.training.supernet import train_supernet

if TYPE_CHECKING:
    from runner.work import StudyWork

FOLDER = "supernet"


def run(work: StudyWork) -> dict[str, Any]:
    """Train from the newest checkpoint to the end; the detail holds the health curve, events hold it as it grows."""

    def health(point: HealthPoint) -> None:
        work.repository.add_event(work.study.id, "train.health", {"step": point.step, **point.values})
        errors = ", ".join(f"{subnet} {error:.1%}" for subnet, error in point.values.items())
        work.reporter.note(f"step {point.step}: validation error {errors}")

    try:
        curve = train_supernet(
            work.weights,
            work.plan.task,
            Sandwich(work.plan.space, work.spec.train.random_subnets),
            work.train_config,
            checkpoints=work.checkpoints(FOLDER),
            watcher=work.watcher(health),
        )
    except Stopped as stopped:
        raise Interrupted(f"{stopped}; a checkpoint of it is kept") from stopped
    return {"health": [{"step": point.step, **point.values} for point in curve]}


def restore_weights(work: StudyWork) -> None:
    """Bring back the trained weights of a study whose training is complete."""
    checkpoint = work.checkpoints(FOLDER).latest()
    if checkpoint is None or checkpoint.step < work.spec.train.steps:
        reached = "missing" if checkpoint is None else f"at step {checkpoint.step} of {work.spec.train.steps}"
        raise CheckpointError(
            f"the trained weights in {work.path(FOLDER)} are {reached}; put the folder back, or delete the study "
            f"(supernaut delete {work.study.name}) and run it again."
        )
    restore(work.weights, checkpoint.tensors, str(checkpoint.path))
