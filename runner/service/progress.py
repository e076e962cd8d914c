"""How far studies are: from their stages, their rows, and what their workers told last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.front import INHERITED
from runner.service.models import Progress
from runner.workers.reporting import PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from runner.store import Repository, StageRecord, StudyRecord
    from runner.study import StudySpec

_HEALTH = "train.health"


def progress_of(
    repository: Repository, studies: Sequence[StudyRecord], specs: Mapping[str, StudySpec | None]
) -> dict[str, Progress]:
    """The progress of each of these studies, by its id; `specs` holds None for one that cannot be read."""
    stages = repository.stages_of([study.id for study in studies])
    return {study.id: _progress(repository, study, stages[study.id], specs[study.id]) for study in studies}


def _progress(
    repository: Repository, study: StudyRecord, stages: Sequence[StageRecord], spec: StudySpec | None
) -> Progress:
    at_work = _at_work(stages)
    done, total = None, None
    if at_work is not None and at_work.state == "running":
        done, total = _within(repository, study, at_work, spec)
    return Progress(
        stage=None if at_work is None else at_work.name,
        position=sum(stage.state == "complete" for stage in stages) if at_work is None else stages.index(at_work) + 1,
        stages=len(stages),
        done=done,
        total=total,
        budget=None if spec is None else spec.search.evaluations,
    )


def _at_work(stages: Iterable[StageRecord]) -> StageRecord | None:
    """The stage that runs, or that failed."""
    return next((stage for stage in stages if stage.state in ("running", "failed")), None)


def _within(
    repository: Repository, study: StudyRecord, stage: StageRecord, spec: StudySpec | None
) -> tuple[int | None, int | None]:
    """How much of a stage is done, of how much.

    Rows are counted, because they are there whoever runs the study; what else is done, only a worker tells.
    """
    if spec is not None and stage.name in ("profile", "search"):
        wanted = spec.search.measured_latencies if stage.name == "profile" else spec.search.evaluations
        return min(repository.count_evaluations(study.id, INHERITED), wanted), wanted
    told = repository.newest_event(study.id, PROGRESS)
    if told is not None and told.payload.get("stage") == stage.name and _since(stage, told.time):
        return told.payload.get("done"), told.payload.get("total")
    if spec is not None and stage.name == "train":
        checked = repository.newest_event(study.id, _HEALTH)
        return 0 if checked is None else checked.payload.get("step"), spec.train.steps
    return None, None


def _since(stage: StageRecord, time: datetime) -> bool:
    return stage.started_at is None or stage.started_at <= time
