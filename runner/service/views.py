"""What the pages say about the record, in plain values that templates only have to place.

Owns which rows a page needs and how they are counted; words are `dashboard.words`', the front is `runner.front`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runner.agreement import COLUMNS as KEPT_COLUMNS
from runner.agreement import agreements
from runner.agreement import sentences as kept_sentences
from runner.agreement import table_rows as kept_rows
from runner.dashboard.scene import describe
from runner.dashboard.words import PROVENANCE, age, decimals_for, direction, label, number, span
from runner.fidelity.report import EVENT, FidelityReport, newest_report
from runner.fidelity.words import COLUMNS, sentences, table_rows
from runner.front import EXPORTED, INHERITED, RETRAINED, compute_front
from runner.service.commands import Command, commands_for
from runner.service.problems import Problem
from runner.study import StudySpec
from supernet.export.card import architecture_summary

if TYPE_CHECKING:
    from runner.front import Front, Point
    from runner.store import EvaluationRecord, EventRecord, Repository, StageRecord, StudyRecord, ValueRecord

UNREADABLE = "its specification was written by another version of Supernaut and cannot be read by this one"
_SHOWN_FAILURES = 5


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A time, for people and for machines."""

    iso: str
    words: str


@dataclass(frozen=True, kw_only=True)
class StudyLine:
    """One study in the list."""

    id: str
    name: str
    state: str
    reason: str
    objectives: tuple[str, ...]
    evaluations: int
    failed: int
    front: int | None  # None where the specification cannot be read
    created: Moment


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a study."""

    name: str
    state: str
    time: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in a table."""

    text: str
    interval: str
    provenance: str

    @property
    def predicted(self) -> bool:
        """Whether nobody measured it."""
        return self.provenance == "predicted"


@dataclass(frozen=True, kw_only=True)
class Column:
    """The head of a column of numbers."""

    label: str
    direction: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One architecture of the front."""

    digest: str
    summary: str
    knee: bool
    numbers: tuple[Number, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """What one architecture scored with shared weights, after training alone, and as a file."""

    digest: str
    knee: bool
    bundle: str
    rows: tuple[tuple[str, tuple[Number | None, ...]], ...]  # a label, and a number for each kind


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How each kind of number ranks the points like the kind before it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]  # what there is no correlation of, and why


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How far the ranking by shared weights can be trusted, as the last comparison found."""

    picture: str  # address
    description: str
    sentences: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # one a ranking


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """Everything on the page of a study."""

    line: StudyLine
    seed: int
    task: str
    space: str
    device: str
    changed: Moment
    took: str
    problem: str
    stages: tuple[Stage, ...]
    picture: str  # address
    description: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    evaluated: int
    models: tuple[Model, ...]
    kept: Kept | None  # None where nothing was retrained
    trust: Trust | None  # None where nothing was compared
    provenance: Mapping[str, str]
    failures: tuple[str, ...]
    commands: tuple[Command, ...]


def study_lines(repository: Repository, owner: str | None, now: datetime) -> tuple[StudyLine, ...]:
    """All studies of an owner, or of everyone, the newest first."""
    lines = []
    for study in reversed(repository.studies()):
        if owner not in (None, study.owner):
            continue
        records = repository.evaluations(study.id)
        spec = _read_spec(study)
        lines.append(_line(study, spec, records, _front(spec, records), now))
    return tuple(lines)


def study_page(repository: Repository, study: StudyRecord, now: datetime, prefix: str) -> StudyPage:
    """One study."""
    records = repository.evaluations(study.id)
    stages = repository.stages(study.id)
    spec = _read_spec(study)
    front = _front(spec, records)
    changed = max([study.updated_at, *(record.created_at for record in records[-1:])])
    return StudyPage(
        line=_line(study, spec, records, front, now),
        seed=study.seed,
        task=spec.task.name if spec else "",
        space=spec.space.name if spec else "",
        device=_device(repository, study.device_id),
        changed=_moment(changed, now),
        took=span(study.finished_at - study.created_at) if study.finished_at else "",
        problem="" if spec else UNREADABLE,
        stages=tuple(_stage(stage, now) for stage in stages),
        picture=f"/studies/{study.id}/front.svg?at={changed.timestamp():.0f}-{len(records)}",
        description=describe(front) if front else "",
        columns=_columns(front) if front else (),
        rows=_rows(front) if front else (),
        evaluated=len(front.points) + len(front.others) if front else 0,
        models=_models(front, stages) if front else (),
        kept=_kept(front) if front else None,
        trust=_trust(study, repository.events(study.id)),
        provenance=_occurring(front) if front else {},
        failures=_failures(records),
        commands=commands_for(study, front, prefix),
    )


def study_front(repository: Repository, study: StudyRecord) -> tuple[str, Front]:
    """The name and the front of one study.  Raises `Problem` where its specification cannot be read."""
    front = _front(_read_spec(study), repository.evaluations(study.id))
    if front is None:
        raise Problem("no_front", f"There is no front: {UNREADABLE}.")
    return study.name, front


def study_fidelity(repository: Repository, study: StudyRecord) -> tuple[str, FidelityReport]:
    """The name and the last comparison of one study.  Raises `Problem` where nothing was compared."""
    report = newest_report(repository.events(study.id))
    if report is None:
        raise Problem(
            "not_found", f"Nothing of this study was trained alone yet; supernaut fidelity {study.name} does it."
        )
    return study.name, report


def _trust(study: StudyRecord, events: Sequence[EventRecord]) -> Trust | None:
    report = newest_report(events)
    if report is None:
        return None
    told = max(event.sequence for event in events if event.kind == EVENT)
    return Trust(
        picture=f"/studies/{study.id}/fidelity.svg?at={told}",
        description=" ".join(sentences(report)),
        sentences=sentences(report),
        columns=COLUMNS,
        rows=table_rows(report),
    )


def _read_spec(study: StudyRecord) -> StudySpec | None:
    """The specification; None where another version wrote it: that must not take the other studies' page along."""
    try:
        return StudySpec.model_validate_json(study.spec)
    except ValueError:
        return None


def _front(spec: StudySpec | None, records: Sequence[EvaluationRecord]) -> Front | None:
    return None if spec is None else compute_front(records, spec.goals, spec.bounds)


def _line(
    study: StudyRecord,
    spec: StudySpec | None,
    records: Sequence[EvaluationRecord],
    front: Front | None,
    now: datetime,
) -> StudyLine:
    return StudyLine(
        id=study.id,
        name=study.name,
        state=study.state,
        reason=study.reason or "",
        objectives=tuple(_objective(spec, metric) for metric in spec.goals) if spec else (),
        evaluations=sum(record.fidelity == INHERITED for record in records),
        failed=sum(record.failure is not None and record.fidelity == INHERITED for record in records),
        front=None if front is None else len(front.points),
        created=_moment(study.created_at, now),
    )


def _objective(spec: StudySpec, metric: str) -> str:
    """An objective with its hard limits."""
    low, high = spec.bounds.get(metric, (None, None))
    words = f"{spec.goals[metric]} {metric}"
    if low is not None:
        words += f", at least {low:g}"
    return words if high is None else f"{words}, at most {high:g}"


def _moment(time: datetime, now: datetime) -> Moment:
    return Moment(iso=time.isoformat(timespec="seconds"), words=age(now - time))


def _device(repository: Repository, device_id: str | None) -> str:
    if device_id is None:
        return ""
    description = repository.device(device_id).description
    processor, cores = description.get("processor", ""), description.get("cores")
    return ", ".join(part for part in (str(processor), f"{cores} cores" if cores else "", device_id) if part)


def _stage(stage: StageRecord, now: datetime) -> Stage:
    time = ""
    if stage.started_at and stage.finished_at:
        time = span(stage.finished_at - stage.started_at)
    elif stage.started_at and stage.state == "running":
        time = f"for {span(now - stage.started_at)}"
    return Stage(name=stage.name, state=stage.state, time=time, detail=_detail(stage.detail))


def _detail(detail: Mapping[str, Any]) -> str:
    """The plain facts of a stage, the end of its health curve among them."""
    parts = []
    for name, value in detail.items():
        if name == "health" and isinstance(value, list) and value and isinstance(value[-1], dict):
            parts += [f"{key} subnet {score:.3f}" for key, score in value[-1].items() if isinstance(score, float)]
        elif name == "predictions" and isinstance(value, dict):
            parts += [
                f"{metric}: {checked['inside_interval']} of {checked['checked_predictions']} inside their interval"
                for metric, checked in value.items()
                if checked.get("checked_predictions")
            ]
        elif isinstance(value, float):
            parts.append(f"{name.replace('_', ' ')} {value:.4g}")
        elif isinstance(value, str | int):
            parts.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(parts)


def _columns(front: Front) -> tuple[Column, ...]:
    return tuple(Column(label=label(metric), direction=direction(metric, goal)) for metric, goal in front.goals.items())


def _rows(front: Front) -> tuple[Row, ...]:
    decimals = {metric: decimals_for([point.number(metric) for point in front.points]) for metric in front.goals}
    return tuple(
        Row(
            digest=point.architecture.digest,
            summary=_summary(point),
            knee=point is front.knee,
            numbers=tuple(_number(point.values[metric], decimals[metric]) for metric in front.goals),
        )
        for point in front.points
    )


def _summary(point: Point) -> str:
    """What holds for the whole architecture and its stages; its layers are what `supernaut show` is for."""
    summary = architecture_summary(point.architecture)
    words = [summary] if summary else []
    bits = {value for name, value in point.architecture.items() if name.endswith(".bits")}
    if bits:
        words.append(f"bits {' and '.join(map(str, sorted(bits, key=float)))}")
    return ", ".join(words)


def _number(value: ValueRecord, decimals: int) -> Number:
    interval = ""
    if value.lower is not None and value.upper is not None:
        interval = f"{number(value.lower, decimals)} to {number(value.upper, decimals)}"
    return Number(text=number(value.value, decimals), interval=interval, provenance=value.provenance)


def _models(front: Front, stages: Iterable[StageRecord]) -> tuple[Model, ...]:
    """Every architecture that was retrained or exported, as a table of metrics by kind."""
    bundles: dict[str, Any] = {}
    for stage in stages:
        found = stage.detail.get("bundles")
        bundles.update(found if isinstance(found, dict) else {})
    return tuple(
        Model(
            digest=point.architecture.digest,
            knee=point is front.knee,
            bundle=str(bundles.get(point.architecture.digest, "")),
            rows=_model_rows(point, list(front.goals)),
        )
        for point in (*front.points, *front.others)
        if point.later
    )


def _model_rows(point: Point, goals: Sequence[str]) -> tuple[tuple[str, tuple[Number | None, ...]], ...]:
    kinds = [point.values, point.later.get(RETRAINED, {}), point.later.get(EXPORTED, {})]
    metrics = dict.fromkeys([*goals, *(metric for values in kinds[1:] for metric in values)])
    rows = []
    for metric in metrics:
        values = [values.get(metric) for values in kinds]
        decimals = decimals_for([value.value for value in values if value is not None])
        numbers = tuple(None if value is None else _number(value, decimals) for value in values)
        rows.append((label(metric), numbers))
    return tuple(rows)


def _kept(front: Front) -> Kept | None:
    found = agreements(front)
    return Kept(columns=KEPT_COLUMNS, rows=kept_rows(found), sentences=kept_sentences(found)) if found else None


def _occurring(front: Front) -> dict[str, str]:
    """What the provenances on this page mean."""
    found = {point.values[metric].provenance for point in front.points for metric in front.goals}
    found |= {
        value.provenance
        for point in (*front.points, *front.others)
        for values in point.later.values()
        for value in values.values()
    }
    return {name: meaning for name, meaning in PROVENANCE.items() if name in found}


def _failures(records: Sequence[EvaluationRecord]) -> tuple[str, ...]:
    """The last evaluations without a result, and why."""
    failed = [record for record in records if record.failure is not None and record.fidelity == INHERITED]
    return tuple(
        f"{record.digest} ({record.failure.kind}): {record.failure.message}"
        for record in reversed(failed[-_SHOWN_FAILURES:])
        if record.failure is not None
    )
