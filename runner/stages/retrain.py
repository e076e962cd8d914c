"""Stage 5: train the chosen points of the front on their own, taught by the largest subnet.

Each in several trials of learning rate and weight decay; the best one counts.  What one trial does is
`retrain_trial`'s, how trials are run and compared `runner.parallel`'s.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from runner.front import RETRAINED, choose
from runner.parallel.trials import stopping_rule, trial_grid
from runner.parallel.tune_retrain import tune_retraining
from runner.pretrained import recorded_ranks
from runner.stages.retrain_trial import RetrainJob
from runner.stages.train import FOLDER, precision_of
from runner.store.records import ValueRecord
from runner.work import worker_count
from supernet.errors import CheckpointError
from supernet.training.snapshot import restore

if TYPE_CHECKING:
    from torch import nn

    from runner.parallel.trials import TuneResult
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
    """Retrain one architecture to the end, from its newest checkpoints, and record its validation scores."""
    started = time.monotonic()
    work.close_executor()  # the trials want its cores
    result = _trials(work, architecture)
    module = _best_module(work, architecture, result)
    scores = work.plan.task.score(module, work.plan.task.validation)
    values = [ValueRecord(metric=name, value=value, provenance="retrained") for name, value in scores.items()]
    work.record(architecture, RETRAINED, "retrain", values, started)
    best, others = result.best.settings, len(result.trials) - 1
    work.reporter.note(
        f"{architecture.digest}: learning rate {best.learning_rate:.2e}, weight decay {best.weight_decay:.2e} "
        f"(the best of {others + 1} trials)"
    )
    return module


def retrained_module(work: StudyWork, architecture: Architecture) -> nn.Module:
    """The retrained module of an architecture; trains and records what is missing."""
    recorded = work.repository.find_evaluation(
        work.study.id, digest=architecture.digest, fidelity=RETRAINED, seed=work.spec.seed
    )
    if recorded is None:
        return retrain_point(work, architecture)
    return _best_module(work, architecture, _trials(work, architecture))


def folder(architecture: Architecture) -> str:
    """Where the trials of a retrained architecture lie within the study."""
    return f"retrained/{architecture.digest}"


def _trials(work: StudyWork, architecture: Architecture) -> TuneResult:
    """Bring all trials to their ends; where they are there already, nothing is done."""
    spec = work.spec.retrain
    metric, goal = judged_by(work)
    workers = worker_count(work.spec)
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
        ),
        grid=trial_grid(spec.learning_rate, spec.weight_decay, spec.trials, work.spec.seed),
        metric=metric,
        mode=goal,
        steps=spec.steps,
        rule=stopping_rule(spec.steps),
        folder=work.path(folder(architecture)),
        workers=workers,
        progress=work.reporter.progress,
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
