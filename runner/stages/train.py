"""Stage 1: train the shared weights, or restore them."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from runner.errors import Interrupted
from runner.parallel.resources import Resources
from runner.parallel.train_ranks import train_on_ranks
from runner.pretrained import begin_pretrained, recorded_ranks
from runner.recipes import sampler_of, teacher_of
from runner.scoring import train_config
from runner.stages.train_rank import RankJob
from supernet.errors import CheckpointError
from supernet.training.loop import HealthPoint, Stopped, begin, curve_of, rollbacks_of
from supernet.training.snapshot import restore, untrained
from supernet.training.supernet import measured_precision, score_inherited, train_supernet

if TYPE_CHECKING:
    from runner.work import StudyWork
    from supernet.training.checkpoint import Checkpoint, Checkpoints
    from supernet.training.collapse import Rollback
    from supernet.training.loop import LoopConfig, Watcher
    from supernet.training.precision import Precision

FOLDER = "supernet"
PRECISION_EVENT = "train.precision"
HEALTH_EVENT = "train.health"
ROLLBACK_EVENT = "train.rollback"


def run(work: StudyWork) -> dict[str, Any]:
    """Train from the newest checkpoint to the end; the detail holds the health curve, events hold it as it grows."""
    told = _Told(work)
    begin_pretrained(work, work.checkpoints(FOLDER))
    precision = precision_of(work)
    if work.spec.train.steps == 0:
        return {"precision": precision, "health": [_plain(point) for point in _keep_as_begun(work, told)]}
    teacher = teacher_of(work)
    config = train_config(work.spec, precision)
    watcher = replace(work.watcher(told.health), rollback=told.rollback)
    try:
        if work.spec.train.ranks > 1:
            curve = _train_together(work, config, watcher)
        else:
            curve = train_supernet(
                work.weights,
                work.plan.task,
                sampler_of(work.spec.train, work.plan.space),
                config,
                distillation=work.spec.train.distillation,
                teacher=teacher,
                checkpoints=work.checkpoints(FOLDER),
                watcher=watcher,
            )
    except Stopped as stopped:
        raise Interrupted(f"{stopped}; a checkpoint of it is kept") from stopped
    return {"precision": precision, "health": [_plain(point) for point in curve]}


def _keep_as_begun(work: StudyWork, told: _Told) -> list[HealthPoint]:
    """Train nothing: leave a checkpoint of the weights as they begin, which everything after restores."""
    checkpoints = work.checkpoints(FOLDER)
    checkpoint = checkpoints.latest()
    if checkpoint is None:
        checkpoints.save(0, untrained(work.weights), {})
    else:
        restore(work.weights, checkpoint.tensors, str(checkpoint.path))
    space, task = work.plan.space, work.plan.task
    subnets = {"smallest": space.smallest(), "random": space.sample(random.Random(work.spec.seed))}
    config = train_config(work.spec)
    values = {
        name: score_inherited(work.weights, architecture, task, config)[task.main_metric]
        for name, architecture in {**subnets, "largest": space.largest()}.items()
    }
    point = HealthPoint(0, values)
    told.health(point)
    return [point]


def _train_together(work: StudyWork, config: LoopConfig, watcher: Watcher) -> list[HealthPoint]:
    """Train in several processes and take over what they learnt."""
    asked, checkpoints = work.spec.train, work.checkpoints(FOLDER)
    begin(work.weights, config, checkpoints, asked.ranks)
    _tell_kept(checkpoints, watcher)
    train_on_ranks(
        RankJob(
            spec=work.study.spec,
            config=config,
            folder=checkpoints.folder.absolute(),
            threads=asked.rank_threads,
            gpu=asked.rank_gpus > 0,
            registered=work.plan.registered,
            layer_ranks=recorded_ranks(work),
        ),
        ranks=asked.ranks,
        resources=Resources(cpus=asked.rank_threads, gpus=asked.rank_gpus),
        folder=checkpoints.folder.absolute(),
        watcher=watcher,
        note=work.reporter.note,
    )
    checkpoint = _tell_kept(checkpoints, watcher)
    restore(work.weights, checkpoint.tensors, str(checkpoint.path))
    return curve_of(checkpoint)


def _tell_kept(checkpoints: Checkpoints, watcher: Watcher) -> Checkpoint:
    """Tell what the newest checkpoint knows: where this process was killed, others may have gone on for a moment."""
    checkpoint = checkpoints.latest()
    if checkpoint is None:
        raise CheckpointError(f"the checkpoints in {checkpoints.folder} are gone; run the same command to train again.")
    for rollback in rollbacks_of(checkpoint):
        watcher.rollback(rollback)
    for point in curve_of(checkpoint):
        watcher.health(point)
    return checkpoint


class _Told:
    """What the record and the user hear of a training while it goes on, each thing once however often it is resumed."""

    def __init__(self, work: StudyWork) -> None:
        self._work = work
        events = work.repository.events(work.study.id)
        self._rollbacks = [event.payload["number"] for event in events if event.kind == ROLLBACK_EVENT]
        self._step = -1  # of the newest health check that was told and still counts
        for event in events:
            if event.kind in (HEALTH_EVENT, ROLLBACK_EVENT):
                self._step = event.payload["step" if event.kind == HEALTH_EVENT else "back_to"]

    def health(self, point: HealthPoint) -> None:
        """A check of the smallest, a random and the largest subnet."""
        if point.step <= self._step:
            return
        self._tell(HEALTH_EVENT, _plain(point))
        self._step = point.step
        scores = ", ".join(f"{subnet} {score:.4g}" for subnet, score in point.values.items())
        self._work.reporter.note(f"step {point.step}: validation {self._work.plan.task.main_metric} {scores}")

    def rollback(self, rollback: Rollback) -> None:
        """A return to a healthy checkpoint."""
        if rollback.number in self._rollbacks:
            return
        self._tell(ROLLBACK_EVENT, rollback.to_json())
        self._rollbacks.append(rollback.number)
        self._step = rollback.back_to
        self._work.reporter.note(f"{rollback}, with {rollback.rate_factor:g} times the learning rate")

    def _tell(self, kind: str, payload: dict[str, Any]) -> None:
        self._work.commit(lambda: self._work.repository.add_event(self._work.study.id, kind, payload))


def _plain(point: HealthPoint) -> dict[str, Any]:
    """A check for the record, with null for a score that is no finite number (a perplexity may be infinite)."""
    return {"step": point.step, **{name: v if math.isfinite(v) else None for name, v in point.values.items()}}


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
