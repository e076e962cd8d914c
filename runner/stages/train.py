"""Stage 1: train the shared weights, or restore them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from runner.errors import Interrupted
from runner.scoring import train_config
from supernet.errors import CheckpointError
from supernet.training.loop import HealthPoint, Stopped
from supernet.training.sampling import Sandwich
from supernet.training.snapshot import restore
from supernet.training.supernet import measured_precision, train_supernet

if TYPE_CHECKING:
    from runner.work import StudyWork
    from supernet.training.precision import Precision

FOLDER = "supernet"
PRECISION_EVENT = "train.precision"


def run(work: StudyWork) -> dict[str, Any]:
    """Train from the newest checkpoint to the end; the detail holds the health curve, events hold it as it grows."""

    events = work.repository.events(work.study.id)
    seen = max((event.payload["step"] for event in events if event.kind == "train.health"), default=0)

    def health(point: HealthPoint) -> None:
        if point.step <= seen:  # told before the process was killed
            return
        payload = {"step": point.step, **point.values}
        work.commit(lambda: work.repository.add_event(work.study.id, "train.health", payload))
        scores = ", ".join(f"{subnet} {score:.4g}" for subnet, score in point.values.items())
        work.reporter.note(f"step {point.step}: validation {work.plan.task.main_metric} {scores}")

    precision = precision_of(work)
    try:
        curve = train_supernet(
            work.weights,
            work.plan.task,
            Sandwich(work.plan.space, work.spec.train.random_subnets),
            train_config(work.spec, precision),
            checkpoints=work.checkpoints(FOLDER),
            watcher=work.watcher(health),
        )
    except Stopped as stopped:
        raise Interrupted(f"{stopped}; a checkpoint of it is kept") from stopped
    return {"precision": precision, "health": [{"step": point.step, **point.values} for point in curve]}


def precision_of(work: StudyWork) -> Precision:
    """What the specification says, or what was measured when this study began to train."""
    asked = work.spec.train.precision
    if asked != "auto":
        return asked
    for event in work.repository.events(work.study.id):
        if event.kind == PRECISION_EVENT:
            return "bf16" if event.payload["precision"] == "bf16" else "fp32"
    found = measured_precision(work.weights, work.plan.task, train_config(work.spec))
    work.commit(lambda: work.repository.add_event(work.study.id, PRECISION_EVENT, asdict(found)))
    work.reporter.note(
        f"training in {found.precision}: a step takes {found.speedup:.2f} times as long in fp32 as in bf16"
    )
    return found.precision


def restore_weights(work: StudyWork) -> None:
    """Bring back the trained weights of a study whose training is complete.

    Where only an older checkpoint can be read, the missing steps are trained again: bit by bit the same on a CPU.
    """
    try:
        checkpoint = work.checkpoints(FOLDER).latest()
    except CheckpointError as error:
        raise CheckpointError(
            f"the trained weights cannot be read: every checkpoint in {work.path(FOLDER)} is damaged. Put the files "
            f"back from a copy, or delete the study (supernaut delete {work.study.name}) and run it again; its front "
            "and its numbers can still be read."
        ) from error
    if checkpoint is None:
        raise CheckpointError(
            f"the trained weights in {work.path(FOLDER)} are missing; put the folder back, or delete the study "
            f"(supernaut delete {work.study.name}) and run it again."
        )
    if checkpoint.step < work.spec.train.steps:
        work.reporter.note(f"training again from step {checkpoint.step}, the newest checkpoint that can be read")
        run(work)
        return
    restore(work.weights, checkpoint.tensors, str(checkpoint.path))
