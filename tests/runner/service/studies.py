"""Records to look at: rows that a study could have left behind, made up for tests alone."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runner.fidelity.report import EVENT
from runner.store import Failure, NewEvaluation, ValueRecord
from runner.study import parse_study
from search_spaces import Architecture
from tests.runner.fidelity.reports import report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.store import Repository, StudyRecord

STAGES = ("train", "profile", "search", "confirm", "retrain", "export")
DEVICE = "cpu-0123456789ab"
OBJECTIVES = {"error": {"goal": "minimize"}, "latency_ms": {"goal": "minimize"}, "model_bytes": {"goal": "minimize"}}


def create_study(
    repository: Repository, name: str = "digits", objectives: Mapping[str, Any] = OBJECTIVES
) -> StudyRecord:
    """A study that nobody has run yet."""
    spec = parse_study(
        {
            "name": name,
            "task": {"name": "digits"},
            "space": {"name": "vision_transformer"},
            "objectives": dict(objectives),
        },
        "test",
    )
    repository.ensure_device(DEVICE, name="this-machine", description={"processor": "Example CPU", "cores": 2})
    return repository.create_study(
        name=name, spec=spec.model_dump_json(), spec_digest=spec.digest, seed=0, device_id=DEVICE, stages=STAGES
    )


def finish_study(repository: Repository, study: StudyRecord, evaluations: int = 120) -> StudyRecord:
    """Every stage complete: a front without predictions, its first point retrained and exported."""
    from runner.front import read_front

    start_study(repository, study, stages=())
    details: dict[str, dict[str, Any]] = {
        "train": {"health": [{"step": 500, "smallest": 0.061, "random": 0.033, "largest": 0.014}]},
        "search": {"evaluations": evaluations, "reason": "budget"},
        "confirm": {
            "points": 12,
            "predictions": {"latency_ms": {"checked_predictions": 9, "inside_interval": 8}},
        },
    }
    for name in STAGES:
        repository.transition_stage(study.id, name, "pending", "running")
        if name == "search":
            record_search(repository, study, evaluations)
        if name == "confirm":
            while waiting := [p for p in read_front(study, repository).points if p.predicted(["latency_ms"])]:
                value = waiting[0].values["latency_ms"]
                repository.add_value(waiting[0].evaluation_id, measured(value.value * 1.01))
        if name == "export":
            knee = read_front(study, repository).knee
            assert knee is not None
            record_models(repository, study, knee.architecture, knee.number("latency_ms"))
            details["export"] = {
                "bundles": {knee.architecture.digest: f"/somewhere/bundles/{knee.architecture.digest}"}
            }
        repository.transition_stage(study.id, name, "running", "complete", details.get(name, {}))
    return repository.transition_study(study.id, "running", "complete")


def start_study(repository: Repository, study: StudyRecord, stages: Sequence[str] = ("train",)) -> None:
    """Running, these stages complete."""
    repository.transition_study(study.id, "created", "running")
    for name in stages:
        repository.transition_stage(study.id, name, "pending", "running")
        repository.transition_stage(study.id, name, "running", "complete")


def record_search(repository: Repository, study: StudyRecord, evaluations: int) -> None:
    """Architectures whose error falls with size, every fifth latency measured, the others predicted."""
    rng = random.Random(7)
    for index in range(evaluations):
        architecture = Architecture(
            {
                "depth": rng.choice((2, 3, 4)),
                "width": rng.choice((32, 48, 64)),
                "patch": rng.choice((2, 4)),
                "seed": index,
            }
        )
        size = architecture["depth"] * architecture["width"] ** 2  # type: ignore[operator]
        latency = 0.03 + size / 60_000 * (1.0 if architecture["patch"] == 4 else 2.6) * rng.uniform(0.7, 1.3)
        error = 0.012 + 0.05 * math.exp(-latency * 9) + abs(rng.gauss(0, 0.012))
        if rng.random() < 0.03:
            error += 0.35
        repository.record_evaluation(
            study.id,
            an_evaluation(
                architecture,
                ValueRecord(metric="error", value=round(error * 360) / 360, provenance="inherited"),
                measured(latency) if index % 5 == 0 else predicted(latency),
                ValueRecord(metric="model_bytes", value=float(12_000 + 4 * size * 3), provenance="computed"),
            ),
        )


def record_model(repository: Repository, study: StudyRecord, architecture: Architecture, error: float) -> None:
    """What a retrained model reached that was not exported."""
    retrained = ValueRecord(metric="error", value=error, provenance="retrained")
    repository.record_evaluation(study.id, an_evaluation(architecture, retrained, fidelity="retrained"))


def record_models(repository: Repository, study: StudyRecord, architecture: Architecture, latency: float) -> None:
    """What a retrained and an exported model reached."""
    retrained = ValueRecord(metric="error", value=0.0138, provenance="retrained")
    repository.record_evaluation(study.id, an_evaluation(architecture, retrained, fidelity="retrained"))
    exported = [
        ValueRecord(metric="error", value=0.0138, provenance="exported"),
        ValueRecord(metric="test_error", value=0.0222, provenance="exported"),
        ValueRecord(metric="file_bytes", value=131_072.0, provenance="exported"),
        ValueRecord(
            metric="latency_ms",
            value=latency * 0.97,
            lower=latency * 0.95,
            upper=latency * 1.02,
            provenance="exported",
            device_id=DEVICE,
        ),
    ]
    repository.record_evaluation(study.id, an_evaluation(architecture, *exported, fidelity="exported"))


def record_fidelity(repository: Repository, study: StudyRecord) -> None:
    """What a comparison with training alone leaves: rows that are in no front, and a report."""
    made = report()
    for one in made.architectures:
        architecture = Architecture({"depth": 2, "sampled": one.digest})
        for seed, score in zip(made.seeds, one.alone, strict=True):
            assert score is not None
            value = ValueRecord(metric="error", value=score, provenance="retrained")
            repository.record_evaluation(
                study.id, replace(an_evaluation(architecture, value, fidelity="alone"), seed=seed)
            )
    repository.add_event(study.id, EVENT, made.to_json())


def record_failure(
    repository: Repository, study: StudyRecord, message: str, kind: str = "not_finite", fidelity: str = "inherited"
) -> None:
    """An evaluation without a result."""
    architecture = Architecture({"depth": 2, "message": message})
    repository.record_evaluation(
        study.id,
        NewEvaluation(
            digest=architecture.digest,
            architecture_json=architecture.to_json(),
            fidelity=fidelity,
            seed=0,
            origin="search",
            failure=Failure(kind=kind, message=message),
        ),
    )


def an_evaluation(architecture: Architecture, *values: ValueRecord, fidelity: str = "inherited") -> NewEvaluation:
    """One row."""
    return NewEvaluation(
        digest=architecture.digest,
        architecture_json=json.dumps(dict(architecture)),
        fidelity=fidelity,
        seed=0,
        origin="search",
        values=values,
    )


def measured(latency: float) -> ValueRecord:
    """A latency that was timed."""
    return ValueRecord(
        metric="latency_ms",
        value=latency,
        lower=latency * 0.96,
        upper=latency * 1.05,
        provenance="inherited",
        device_id=DEVICE,
    )


def predicted(latency: float) -> ValueRecord:
    """A latency that was estimated."""
    return ValueRecord(
        metric="latency_ms",
        value=latency,
        lower=latency * 0.8,
        upper=latency * 1.25,
        provenance="predicted",
        device_id=DEVICE,
    )
