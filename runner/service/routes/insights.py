"""What a study's numbers say: its metrics, how good predictions were, how training went, what may be trusted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from fastapi import APIRouter

from runner.agreement import COLUMNS as AGREEMENT_COLUMNS
from runner.agreement import agreements
from runner.agreement import sentences as agreement_sentences
from runner.agreement import table_rows as agreement_rows
from runner.dashboard.words import PROVENANCE
from runner.fidelity.report import EVENT, newest_report
from runner.fidelity.words import COLUMNS, sentences, table_rows
from runner.insight.calibration import LEVEL, calibrate
from runner.insight.importances import METHOD
from runner.insight.training import KINDS, training_of
from runner.service.documents import spec_or_none
from runner.service.fronts import spec_of
from runner.service.insight_models import (
    CalibrationDocument,
    CalibrationPoint,
    ChoiceImportance,
    FidelityDocument,
    ImportancesDocument,
    MetricDocument,
    MetricImportances,
    MetricsDocument,
    ProvenanceDocument,
    RuleDocument,
    TableDocument,
    TrainingDocument,
    TrustDocument,
)
from runner.service.metric_words import is_computed, is_known, words_of
from runner.service.models import Listed
from runner.service.routes.common import STUDY, Reader, StudyId, TheRecord, TheService, find_study, problems
from runner.store.records import PROVENANCES
from supernet.tasks.registry import metrics_of, task_names

if TYPE_CHECKING:
    from runner.store import EventRecord, Repository, StudyRecord
    from runner.store.records import Provenance
    from runner.study import Goal, StudySpec

router = APIRouter(tags=["insights"])

_CHECKED = 2_000  # predictions in one answer


@router.get("/studies/{study}/metrics", responses=problems(*STUDY))
def list_metrics(study: StudyId, principal: Reader, repository: TheRecord) -> MetricsDocument:
    """The metrics of a study, its objectives first, and what provenances mean."""
    found = find_study(repository, principal, study)
    spec = spec_or_none(found)
    objectives = () if spec is None else tuple(spec.goals)
    names = dict.fromkeys((*objectives, *repository.metrics(found.id)))
    return MetricsDocument(
        items=[_metric(name, spec) for name in names],
        provenances=[
            ProvenanceDocument(name=cast("Provenance", name), meaning=PROVENANCE[name]) for name in PROVENANCES
        ],
    )


def _metric(name: str, spec: StudySpec | None) -> MetricDocument:
    words = words_of(name)
    goals = {} if spec is None else spec.goals
    low, high = (None, None) if spec is None else spec.bounds.get(name, (None, None))
    return MetricDocument(
        metric=name,
        label=words.label,
        unit=words.unit,
        goal=goals.get(name, words.goal if is_known(name) else None),
        objective=name in goals,
        at_least=low,
        at_most=high,
        computed=is_computed(name),
    )


@router.get("/studies/{study}/importances", responses=problems(*STUDY, "no_front"))
def get_importances(
    study: StudyId, principal: Reader, service: TheService, repository: TheRecord
) -> ImportancesDocument:
    """Which choices decide about each objective, and rules where something is clear."""
    insight = service.insights.of(repository, find_study(repository, principal, study))
    return ImportancesDocument(
        evaluations=insight.evaluations,
        of=insight.of,
        reason=insight.reason,
        metrics=[
            MetricImportances(
                metric=metric,
                method=METHOD,
                agreement=judged.agreement,
                choices=[ChoiceImportance(**asdict(each)) for each in judged.importances],
            )
            for metric, judged in insight.metrics.items()
        ],
        rules=[RuleDocument(**asdict(rule)) for rule in insight.rules],
    )


@router.get("/studies/{study}/calibration", responses=problems(*STUDY, "no_front"))
def get_calibration(study: StudyId, principal: Reader, repository: TheRecord) -> Listed[CalibrationDocument]:
    """How well each latency was predicted, where it was measured later."""
    found = find_study(repository, principal, study)
    return Listed(items=[_calibration(repository, found, metric) for metric in spec_of(found).latencies])


def _calibration(repository: Repository, study: StudyRecord, metric: str) -> CalibrationDocument:
    pairs = repository.predicted_and_measured(study.id, metric, _CHECKED)
    words, found = words_of(metric), calibrate(pairs)
    return CalibrationDocument(
        metric=metric,
        label=words.label,
        unit=words.unit,
        checked=found.checked,
        inside=found.inside,
        level=LEVEL,
        kendall=found.kendall,
        mean_absolute_error=found.mean_absolute_error,
        points=[CalibrationPoint(**asdict(pair)) for pair in pairs],
    )


@router.get("/studies/{study}/training", responses=problems(*STUDY, "no_front"))
def get_training(study: StudyId, principal: Reader, repository: TheRecord) -> TrainingDocument:
    """How the scores of the largest, a random and the smallest subnet grew while the shared weights were trained."""
    found = find_study(repository, principal, study)
    spec = spec_of(found)
    training = training_of((event.kind, event.payload) for event in repository.events_of_kinds(found.id, KINDS))
    metrics = metrics_of(spec.task.name) if spec.task.name in task_names() else {}
    metric = next(iter(metrics), None)
    asked = spec.train.precision
    return TrainingDocument(
        metric=metric,
        goal=None if metric is None else cast("Goal", metrics[metric]),
        precision=training.precision if asked == "auto" else asked,
        steps_wanted=spec.train.steps,
        steps=list(training.steps),
        series={subnet: list(scores) for subnet, scores in training.series.items()},
        rollbacks=training.rollbacks,
    )


@router.get("/studies/{study}/trust", responses=problems(*STUDY, "no_front"))
def get_trust(study: StudyId, principal: Reader, service: TheService, repository: TheRecord) -> TrustDocument:
    """How each kind of number ranks the points like the kind before it, and how shared weights rank like training."""
    found = find_study(repository, principal, study)
    kept = agreements(service.fronts.picture(repository, found).front)
    return TrustDocument(
        agreement=TableDocument(
            columns=list(AGREEMENT_COLUMNS),
            rows=[list(row) for row in agreement_rows(kept)],
            sentences=list(agreement_sentences(kept)),
        ),
        fidelity=_fidelity(found, repository.newest_event(found.id, EVENT)),
    )


def _fidelity(study: StudyRecord, event: EventRecord | None) -> FidelityDocument | None:
    report = None if event is None else newest_report([event])
    if event is None or report is None:
        return None
    return FidelityDocument(
        columns=list(COLUMNS),
        rows=[list(row) for row in table_rows(report)],
        sentences=list(sentences(report)),
        picture=f"/studies/{study.id}/fidelity.svg?at={event.sequence}",
    )
