"""Stage 5: train the chosen points of the front on their own, taught by whom the study says.

Each in several trials of learning rate and weight decay; the best one counts.  What one trial does is
`retrain_trial`'s, how trials are run and compared `runner.parallel`'s.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from runner.agreement import agreements
from runner.front import RETRAINED, choose
from runner.parallel.trials import stopping_rule, trial_grid
from runner.parallel.tune_retrain import tune_retraining
from runner.pretrained import recorded_ranks
from runner.recipes import note_retrain_teacher, recorded_retrain_teacher
from runner.stages.retrain_recipe import record_recipe
from runner.stages.retrain_trial import RetrainJob
from runner.stages.train import FOLDER, precision_of
from runner.store.records import ValueRecord
from runner.work import worker_count
from supernet.errors import CheckpointError
from supernet.training.snapshot import restore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from runner.front import Point
    from runner.parallel.trials import TuneResult
    from runner.store.records import EvaluationRecord
    from runner.work import StudyWork
    from search_spaces import Architecture


def run(work: StudyWork) -> dict[str, Any]:
    """Retrain every point that the specification names."""
    return {"architectures": retrain_points(work, choose(work.front(), work.spec.retrain.points)), **kept_so_far(work)}


def retrain_points(work: StudyWork, points: Sequence[Point]) -> list[str]:
    """Retrain points one after the other; the trials of each run side by side.  Their digests."""
    for position, point in enumerate(points, start=1):
        work.reporter.note(f"retraining {point.architecture.digest} ({position} of {len(points)})")
        retrain_point(work, point.architecture, position, len(points))
    return [point.architecture.digest for point in points]


def kept_so_far(work: StudyWork) -> dict[str, Any]:
    """How each kind of number ranks the points like the kind before, for the details of a stage."""
    return {"agreement": [one.to_json() for one in agreements(work.front())]}


def retrain_point(work: StudyWork, architecture: Architecture, position: int = 1, count: int = 1) -> nn.Module:
    """Retrain one architecture to the end, from its newest checkpoints, and record its validation scores and recipe.

    `position` of `count` is for the progress alone.
    """
    started = time.monotonic()
    work.close_executor()  # the trials want its cores
    if _recorded(work, architecture) is None:
        note_retrain_teacher(work)
    result = _trials(work, architecture, position, count)
    module = _best_module(work, architecture, result)
    scores = work.plan.task.score(module, work.plan.task.validation)
    values = [ValueRecord(metric=name, value=value, provenance="retrained") for name, value in scores.items()]
    work.record(architecture, RETRAINED, "retrain", values, started)
    record_recipe(work, architecture, result, *judged_by(work))
    best, others = result.best.settings, len(result.trials) - 1
    work.reporter.note(
        f"{architecture.digest}: learning rate {best.learning_rate:.2e}, weight decay {best.weight_decay:.2e} "
        f"(the best of {others + 1} trials)"
    )
    return module


def retrained_module(work: StudyWork, architecture: Architecture) -> nn.Module:
    """The retrained module of an architecture; trains and records what is missing."""
    if _recorded(work, architecture) is None:
        return retrain_point(work, architecture)
    result = _trials(work, architecture)
    record_recipe(work, architecture, result, *judged_by(work))  # one that was retrained by an earlier version
    return _best_module(work, architecture, result)


def folder(architecture: Architecture) -> str:
    """Where the trials of a retrained architecture lie within the study."""
    return f"retrained/{architecture.digest}"


def _recorded(work: StudyWork, architecture: Architecture) -> EvaluationRecord | None:
    return work.repository.find_evaluation(
        work.study.id, digest=architecture.digest, fidelity=RETRAINED, seed=work.spec.seed
    )


def _trials(work: StudyWork, architecture: Architecture, position: int = 1, count: int = 1) -> TuneResult:
    """Bring all trials to their ends; where they are there already, nothing is done."""
    spec = work.spec.retrain
    metric, goal = judged_by(work)
    workers = worker_count(work.spec)
    teacher = recorded_retrain_teacher(work)

    def progress(done: int, total: int, words: str) -> None:
        shown = words if count == 1 else f"{architecture.digest}: {words}"
        work.reporter.progress((position - 1) * total + done, count * total, shown)

    return tune_retraining(
        RetrainJob(
            spec=work.study.spec,
            architecture=architecture.to_json(),
            supernet=work.path(FOLDER),
            precision=precision_of(work),
            # In this process the trials run one after the other, with the threads that it has anyway.
            threads=torch.get_num_threads() if workers == "serial" else 1,
            registered=work.plan.registered,
            layer_ranks=recorded_ranks(work),
            teacher_sha256=None if teacher is None else teacher["sha256"],
        ),
        grid=trial_grid(spec.learning_rate, spec.weight_decay, spec.trials, work.spec.seed),
        metric=metric,
        mode=goal,
        steps=spec.steps,
        rule=stopping_rule(spec.steps),
        folder=work.path(folder(architecture)),
        workers=workers,
        progress=progress,
        stop=work.stop,
    )


def judged_by(work: StudyWork) -> tuple[str, Any]:
    """The first score among the objectives, else the task's own first one."""
    metrics = work.plan.task.metrics
    name = next((name for name in work.plan.goals if name in metrics), next(iter(metrics)))
    return name, metrics[name]


def _best_module(work: StudyWork, architecture: Architecture, result: TuneResult) -> nn.Module:
    checkpoint = work.checkpoints(str(result.folder)).latest()
    if checkpoint is None or checkpoint.step < work.spec.retrain.steps:
        raise CheckpointError(
            f"the retrained weights in {result.folder} are gone; delete {work.path(folder(architecture))} to train "
            "this architecture again."
        )
    module = work.weights.extract(architecture)
    restore(module, checkpoint.tensors, str(checkpoint.path))
    return module.eval()
