"""Stage 6: write the retrained points as bundles, verified, with the numbers of the files that are downloaded.

The one place that looks at the test split, once for each exported file.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.format_scores import is_timed, score_files
from runner.formats import formats_for, refuse
from runner.front import EXPORTED, INHERITED, RETRAINED, best_values, choose
from runner.origin import commit_here, describe_device, versions_here
from runner.registered.checksum import describe_data
from runner.stages.retrain import kept_so_far, retrained_module
from runner.stages.retrain_recipe import recipe_of
from runner.store.records import NewArtifact, ValueRecord
from runner.work import latency_value
from supernet.export.bundle import MAIN, Origin, write_bundle, write_formats
from supernet.export.card import Number
from supernet.export.drafts import drafting, refuse_foreign
from supernet.models.family import LATENCY
from supernet.skeleton import build_real

if TYPE_CHECKING:
    from torch import nn

    from predictors.latency.benchmark import LatencyMeasurement
    from runner.work import StudyWork
    from search_spaces import Architecture
    from supernet.export.formats.format import Format

TEST = "test_"  # before the name of a metric: on the test split
FORMAT_EVENT = "export.format"  # what was measured on the files of a format besides the main one
FILE_BYTES = "file_bytes"


def run(work: StudyWork) -> dict[str, Any]:
    """Export every point that the specification retrains."""
    bundles = {}
    for point in choose(work.front(), work.spec.retrain.points):
        architecture = point.architecture
        work.pause_if_asked()
        bundles[architecture.digest] = str(export_point(work, architecture, default_folder(work, architecture)))
    return {"bundles": bundles, **kept_so_far(work)}


def default_folder(work: StudyWork, architecture: Architecture) -> Path:
    """Where a bundle goes if nobody says."""
    return work.path("bundles", architecture.digest)


def export_point(work: StudyWork, architecture: Architecture, folder: Path, names: Sequence[str] | None = None) -> Path:
    """Write one bundle to `folder`, in the formats of these names or the study's, and record what was measured on it.

    Where a file of this architecture was measured before, its recorded numbers stand: the test split is looked at
    once.  Raises `SpecError` for a named format that does not apply, before anything is trained or written; one that
    the study asks for is left out of this bundle.
    """
    started = time.monotonic()
    folder = folder.resolve()
    refuse_foreign(folder)
    outline = build_real(work.plan.build, architecture, work.spec.seed)
    formats, left_out = formats_for(names or work.spec.export.formats, outline, work.plan.task, "--format")
    if names:
        refuse(left_out, "--format")
    for name, reason in left_out.items():
        work.reporter.note(f"{architecture.digest} is not written as {name}: {reason}")
    module = retrained_module(work, architecture)
    with drafting(folder) as draft:
        written = write_formats(draft, formats, module, work.plan.task)
        main, *others = formats
        path = draft / written[MAIN][0]
        record = work.repository.find_evaluation(
            work.study.id, digest=architecture.digest, fidelity=EXPORTED, seed=work.spec.seed
        )
        measured = _time(work, module, path) if record is None else {}
        values = record.values if record else _measure(work, module, main, draft, path, measured)
        known = numbers(work, architecture, values)
        for each in others:
            known += _format_numbers(work, architecture, module, each, draft, written[each.name])
        write_bundle(
            draft,
            formats=formats,
            written=written,
            module=module,
            task=work.plan.task,
            origin=_origin(work, architecture),
            numbers=known,
            left_out=left_out,
        )
    work.record(architecture, EXPORTED, "export", values, started)
    for metric, measurement in measured.items():
        work.keep_measurement(architecture, EXPORTED, metric, measurement)
    for name, files in written.items():
        _keep_artifact(work, name, folder / files[0])
    return folder


def _keep_artifact(work: StudyWork, kind: str, path: Path) -> None:
    content = path.read_bytes()
    work.repository.record_artifact(
        work.study.id,
        NewArtifact(sha256=hashlib.sha256(content).hexdigest(), kind=kind, bytes=len(content), uri=path.as_uri()),
    )


def _measure(
    work: StudyWork,
    module: nn.Module,
    main: Format,
    draft: Path,
    path: Path,
    latencies: Mapping[str, LatencyMeasurement],
) -> tuple[ValueRecord, ...]:
    """Scores on validation and test in ONNX Runtime, checked against PyTorch, latency and size of the file."""
    values = [ValueRecord(metric=FILE_BYTES, value=float(path.stat().st_size), provenance="exported")]
    for prefix, split in (("", work.plan.task.validation), (TEST, work.plan.task.test)):
        values += [
            ValueRecord(metric=f"{prefix}{name}", value=value, provenance="exported")
            for name, value in score_files(main, draft, path.name, work.plan.task, split, module).items()
        ]
    values += [
        latency_value(metric, measured, "exported", work.timer.device_id) for metric, measured in latencies.items()
    ]
    return tuple(values)


def _time(work: StudyWork, module: nn.Module, path: Path) -> dict[str, LatencyMeasurement]:
    """The latencies of the exported file, and of what else of this module is timed."""
    return {
        metric: work.timer.time_file(metric, path)
        if metric == LATENCY
        else work.timer.time_workload(metric, work.plan.workload(module, metric))
        for metric in work.plan.latencies
    }


def _format_numbers(
    work: StudyWork,
    architecture: Architecture,
    module: nn.Module,
    made: Format,
    draft: Path,
    files: Sequence[str],
) -> list[Number]:
    """What was measured on the files of a format besides the main one, now or, where that is recorded, before."""
    for event in work.repository.events(work.study.id):
        told = event.payload
        if event.kind == FORMAT_EVENT and (told["architecture"], told["format"]) == (architecture.digest, made.name):
            return [Number(**number) for number in told["numbers"]]
    work.pause_if_asked()
    work.reporter.note(f"{architecture.digest}: scoring the format {made.name}")
    task = work.plan.task
    size = sum((draft / name).stat().st_size for name in files)
    found = [Number(metric=FILE_BYTES, value=float(size), provenance="exported", format=made.name)]
    for name, split in (("validation", task.validation), ("test", task.test)):
        found += [
            Number(metric=metric, value=value, provenance="exported", split=name, format=made.name)
            for metric, value in score_files(made, draft, files[0], task, split, module).items()
        ]
    if LATENCY in work.plan.latencies and is_timed(draft / files[0]):
        timed = work.timer.time_file(LATENCY, draft / files[0])
        found.append(
            Number(
                metric=LATENCY,
                value=timed.p50_ms,
                lower=timed.lower_ms,
                upper=timed.upper_ms,
                provenance="exported",
                device=work.timer.device_id,
                format=made.name,
            )
        )
    told = {"architecture": architecture.digest, "format": made.name, "numbers": [asdict(one) for one in found]}
    work.commit(lambda: work.repository.add_event(work.study.id, FORMAT_EVENT, told))
    return found


def numbers(work: StudyWork, architecture: Architecture, exported: Sequence[ValueRecord]) -> list[Number]:
    """Everything that is known of an architecture, in the order of fidelities, what was not measured left out."""
    rows = [record for record in work.evaluations() if record.digest == architecture.digest]
    known = [best_values(record.values) for f in (INHERITED, RETRAINED) for record in rows if record.fidelity == f]
    return [
        _number(work, value)
        for values in (*known, best_values(exported))
        for value in values.values()
        if value.provenance != "predicted"
    ]


def _number(work: StudyWork, value: ValueRecord) -> Number:
    split = None
    if value.metric.startswith(TEST):
        split = "test"
    elif value.metric in work.plan.task.metrics:
        split = "validation"
    return Number(
        metric=value.metric.removeprefix(TEST),
        value=value.value,
        lower=value.lower,
        upper=value.upper,
        provenance=value.provenance,
        split=split,
        device=value.device_id,
        format=MAIN if value.provenance == "exported" else None,
    )


def _origin(work: StudyWork, architecture: Architecture) -> Origin:
    asked = (work.spec.task.name, work.spec.space.name)
    own = [entry for entry in work.plan.registered.extensions if entry.name in asked]
    return Origin(
        study_id=work.study.id,
        study_name=work.study.name,
        seed=work.spec.seed,
        family=work.spec.space.name,
        architecture=architecture,
        specification=work.spec.model_dump(mode="json"),
        recipe=recipe_of(work, architecture),
        data=describe_data(work.plan.task),
        extensions={entry.name: entry.target for entry in own},
        versions=versions_here(),
        commit=commit_here(),
        device=describe_device(work),
    )
