"""The recipe of a retrained point, as the record and a bundle state it: what it began with, who taught it, what was
tried, and what was chosen.

Owns its fields and its event.  It is made once the trials have ended; what they do is `retrain_trial`'s.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from runner.errors import NotFound
from runner.recipes import recorded_retrain_teacher
from runner.stages.retrain_trial import retrain_config
from runner.stages.train import FOLDER, precision_of
from runner.study import LARGEST, NOBODY
from search_spaces.compression import FULL_PRECISION
from supernet.errors import CheckpointError

if TYPE_CHECKING:
    from runner.parallel.trials import TrialOutcome, TuneResult
    from runner.work import StudyWork
    from search_spaces import Architecture

RECIPE_EVENT = "retrain.recipe"

# Of the settings of a training, those that change what is learnt.
_SETTINGS = (
    "steps",
    "batch",
    "learning_rate",
    "weight_decay",
    "warmup",
    "clip_norm",
    "label_smoothing",
    "ema",
    "precision",
    "seed",
)


def recipe_of(work: StudyWork, architecture: Architecture) -> dict[str, Any]:
    """How an architecture was retrained, as plain values that JSON has.

    start         "inherited" (shared weights) or "scratch" (initial ones)
    supernet      steps and SHA-256 of the checkpoint of the shared weights; None where neither the start nor the
                  teacher comes from them
    teacher       None, or its name, the digest of its architecture if it is the largest subnet, and its SHA-256: of
                  that checkpoint, or of the registered file
    steps, batch, learning_rate, weight_decay, warmup, clip_norm, label_smoothing, ema, precision, seed
                  as the chosen trial was trained
    trained_bits  the bits below 32 in whose rounding layers were trained, straight through
    metric, goal  what trials were compared by, on the validation split
    trial         the number of the chosen one in `trials`
    trials        settings, state, last step and score of each; the score is None where there was none

    Raises `NotFound` where it was not retrained.
    """
    events = work.repository.events(work.study.id)
    for event in reversed(events):
        if event.kind == RECIPE_EVENT and event.payload["architecture"] == architecture.digest:
            return dict(event.payload)
    raise NotFound(
        f"{architecture.digest} was not retrained yet: supernaut retrain {work.study.name} {architecture.digest}"
    )


def record_recipe(
    work: StudyWork, architecture: Architecture, result: TuneResult, metric: str, goal: str
) -> dict[str, Any]:
    """Keep the recipe of an architecture whose trials have ended; one that is recorded already stays as it is."""
    try:
        return recipe_of(work, architecture)
    except NotFound:
        made = _recipe(work, architecture, result, metric, goal)
        work.commit(lambda: work.repository.add_event(work.study.id, RECIPE_EVENT, made))
        return made


def _recipe(work: StudyWork, architecture: Architecture, result: TuneResult, metric: str, goal: str) -> dict[str, Any]:
    asked = work.spec.retrain
    settings = asdict(retrain_config(work.spec, result.best.settings, precision_of(work)))
    supernet = _supernet(work) if asked.start == "inherited" or asked.teacher == LARGEST else None
    return {
        "architecture": architecture.digest,
        "start": asked.start,
        "supernet": supernet,
        "teacher": _teacher(work, supernet),
        **{name: settings[name] for name in _SETTINGS},
        "trained_bits": _rounded(architecture),
        "metric": metric,
        "goal": goal,
        "trial": result.best.settings.index,
        "trials": [_trial(outcome, metric) for outcome in result.trials],
    }


def _supernet(work: StudyWork) -> dict[str, Any]:
    checkpoint = work.checkpoints(FOLDER).latest()
    if checkpoint is None:
        raise CheckpointError(
            f"the trained weights in {work.path(FOLDER)} are missing, so that the record cannot say what this began "
            "with; put the folder back and run the same command again."
        )
    return {"steps": checkpoint.step, "sha256": hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()}


def _teacher(work: StudyWork, supernet: dict[str, Any] | None) -> dict[str, Any] | None:
    name = work.spec.retrain.teacher
    if name == NOBODY:
        return None
    if name == LARGEST:
        assert supernet is not None
        return {"name": name, "architecture": work.plan.space.largest().digest, "sha256": supernet["sha256"]}
    return recorded_retrain_teacher(work)


def _rounded(architecture: Architecture) -> list[int]:
    bits = {value for name, value in architecture.items() if name.rpartition(".")[2] == "bits"}
    return sorted(value for value in bits if isinstance(value, int) and value != FULL_PRECISION)


def _trial(outcome: TrialOutcome, metric: str) -> dict[str, Any]:
    return {
        "learning_rate": outcome.settings.learning_rate,
        "weight_decay": outcome.settings.weight_decay,
        "state": outcome.state,
        "step": outcome.step,
        metric: outcome.points[-1].values[metric] if outcome.points else None,
        "reason": outcome.reason,
    }
