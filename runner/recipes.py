"""What the train section of a study stands for: its sampler and its teacher, and whether they fit.

The teacher of retrained points is found and tried in the same way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import Conflict, SpecError
from runner.registered.named import registered_path
from runner.study import LARGEST, NOBODY
from search_spaces import SpaceError
from supernet.errors import TeacherError, TrainingError
from supernet.training.sampling import EveryArchitecture, MultiArchitecture, Sandwich
from supernet.training.weighting import SamplingWeights
from supernet.training.widening import Widening, evenly

if TYPE_CHECKING:
    from runner.study import TrainSpec
    from runner.validation import Plan
    from runner.work import StudyWork
    from search_spaces import SearchSpace
    from supernet.training.sampling import SubnetSampler
    from supernet.training.teacher import OnnxTeacher

TEACHER_EVENT = "train.teacher"
RETRAIN_TEACHER_EVENT = "retrain.teacher"


def sampler_of(train: TrainSpec, space: SearchSpace) -> SubnetSampler:
    """Which subnets each step trains.  Raises `SpecError`, naming the field."""
    try:
        weights = SamplingWeights.of(space, train.sampling)
    except (SpaceError, TrainingError) as error:
        raise SpecError(f"train.sampling: {error}") from error

    def recipe(part: SearchSpace) -> SubnetSampler:
        if train.recipe == "all":
            return EveryArchitecture(part)
        if train.recipe == "multi":
            return MultiArchitecture(part, train.random_subnets, weights)
        return Sandwich(part, train.random_subnets, weights)

    try:
        whole = recipe(space)
    except TrainingError as error:
        raise SpecError(f"train.recipe: {error}") from error
    if not train.widen:
        return whole
    try:
        return Widening.over(space, evenly(train.widen), train.steps, recipe)
    except (SpaceError, TrainingError) as error:
        raise SpecError(f"train.widen: {error}") from error


def check_training(planned: Plan) -> None:
    """Refuse a train section that contradicts itself, the space or the size of the data.  Raises `SpecError`."""
    train = planned.spec.train
    if train.steps == 0:
        return  # nothing else in it has a meaning, which the specification itself sees to
    batch = min(train.batch, len(planned.task.train))
    if train.recipe == "multi":
        if train.distillation == "inplace":
            raise SpecError(
                "train.distillation: 'inplace' needs all subnets of a step to see the same inputs, and the recipe "
                "'multi' divides the batch among them; leave it out."
            )
        if not 1 <= train.random_subnets <= batch:
            raise SpecError(
                f"train.random_subnets: the recipe 'multi' divides a batch of {batch} among 1 to {batch} subnets, not "
                f"{train.random_subnets}."
            )
    if train.sampling and (train.recipe == "all" or train.random_subnets == 0):
        raise SpecError("train.sampling: nothing is drawn at random with these settings; leave it out.")
    if train.accumulate > batch:
        raise SpecError(f"train.accumulate: a batch of {batch} has no {train.accumulate} parts; use fewer.")
    _check_ranks(train, batch)
    sampler_of(train, planned.space)


def _check_ranks(train: TrainSpec, batch: int) -> None:
    parts = train.ranks * train.accumulate
    if parts > batch:
        raise SpecError(
            f"train.ranks: a batch of {batch} has no {parts} parts for {train.ranks} processes (train.accumulate: "
            f"{train.accumulate}); use fewer processes or a larger batch."
        )
    if train.ranks == 1 and (train.rank_threads, train.rank_gpus) != (1, 0):
        raise SpecError("train.rank_threads and train.rank_gpus have a meaning for several processes; set train.ranks.")
    if train.rank_gpus and train.precision == "auto":
        raise SpecError(
            "train.precision: auto is measured on the processor of this machine, which says nothing about GPUs; write "
            "fp32 or bf16."
        )


def open_teacher(planned: Plan) -> OnnxTeacher | None:
    """The teacher of the supernet, if the study names one, tried on the task.  Raises `SpecError` or `NotFound`."""
    name = planned.spec.train.teacher
    return None if name is None else _opened("train.teacher", name, planned)


def open_retrain_teacher(planned: Plan) -> OnnxTeacher | None:
    """The registered model that teaches retrained points, tried on the task; None where the study names none.

    Raises `SpecError` or `NotFound`.
    """
    name = planned.spec.retrain.teacher
    return None if name in (LARGEST, NOBODY) else _opened("retrain.teacher", name, planned)


def _opened(field: str, name: str, planned: Plan) -> OnnxTeacher:
    path = registered_path(field, name, planned.registered, "an ONNX file or an exported bundle")
    from supernet.training.teacher import OnnxTeacher  # starts ONNX Runtime, which few trainings need

    try:
        teacher = OnnxTeacher(Path(path))
        teacher.check(planned.task)
    except TeacherError as error:
        raise SpecError(f"{field}: {error}") from error
    return teacher


def teacher_of(work: StudyWork) -> OnnxTeacher | None:
    """The teacher of a study at work, which must be the one with which its training began.

    Raises what `open_teacher` raises, and `Conflict` where it is another one.
    """
    teacher = open_teacher(work.plan)
    if teacher is not None:
        _keep_to(work, TEACHER_EVENT, work.spec.train.teacher, teacher)
    return teacher


def note_retrain_teacher(work: StudyWork) -> None:
    """Record the registered teacher of retrained points, which must be the one with which the first of them began.

    Raises what `open_retrain_teacher` raises, and `Conflict` where it is another one.
    """
    teacher = open_retrain_teacher(work.plan)
    if teacher is not None:
        _keep_to(work, RETRAIN_TEACHER_EVENT, work.spec.retrain.teacher, teacher)


def recorded_retrain_teacher(work: StudyWork) -> dict[str, Any] | None:
    """Name and SHA-256 of the registered teacher with which the first retraining began; None where there is none."""
    events = work.repository.events(work.study.id)
    return next((dict(event.payload) for event in events if event.kind == RETRAIN_TEACHER_EVENT), None)


def _keep_to(work: StudyWork, kind: str, name: str | None, teacher: OnnxTeacher) -> None:
    events = work.repository.events(work.study.id)
    before = next((event.payload for event in events if event.kind == kind), None)
    now = {"name": name, "sha256": teacher.sha256}
    if before is None:
        work.commit(lambda: work.repository.add_event(work.study.id, kind, now))
    elif before != now:
        began = "training" if kind == TEACHER_EVENT else "retraining"
        raise Conflict(
            f"the teacher {teacher.path} is not the one with which the {began} of {work.study.name!r} began (SHA-256 "
            f"{teacher.sha256[:16]}, not {before['sha256'][:16]}). Put that one back and run the same command again, "
            "or start a study under a new name."
        )
