"""Stage 6: write the retrained points as bundles, verified, with the numbers of the file that is downloaded.

The one place that looks at the test split, once for each exported file.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from predictors.latency.device import this_device
from runner.front import EXPORTED, INHERITED, RETRAINED, best_values, choose
from runner.stages.retrain import retrained_module
from runner.store.records import NewArtifact, ValueRecord
from runner.work import latency_value
from supernet.export.bundle import Origin, refuse_foreign, write_bundle
from supernet.export.card import Number
from supernet.export.onnx import export_onnx, rounds_inputs
from supernet.export.parity import check_parity
from supernet.export.runtime import Session, runtime_version
from supernet.models.family import LATENCY
from supernet.tasks.task import predict

if TYPE_CHECKING:
    from torch import nn

    from predictors.latency.benchmark import LatencyMeasurement
    from runner.work import StudyWork
    from search_spaces import Architecture
    from supernet.tasks.task import Split

TEST = "test_"  # before the name of a metric: on the test split
RECORDED_PACKAGES = ("supernaut", "torch", "onnx", "onnxruntime", "onnxscript", "numpy", "scikit-learn")


def run(work: StudyWork) -> dict[str, Any]:
    """Export every point that the specification retrains."""
    bundles = {}
    for point in choose(work.front(), work.spec.retrain.points):
        architecture = point.architecture
        work.pause_if_asked()
        bundles[architecture.digest] = str(export_point(work, architecture, default_folder(work, architecture)))
    return {"bundles": bundles}


def default_folder(work: StudyWork, architecture: Architecture) -> Path:
    """Where a bundle goes if nobody says."""
    return work.path("bundles", architecture.digest)


def export_point(work: StudyWork, architecture: Architecture, folder: Path) -> Path:
    """Write one bundle to `folder` and record what was measured on its ONNX file.

    Where the file of this architecture was measured before, its recorded numbers stand: the test split is looked at
    once.
    """
    started = time.monotonic()
    refuse_foreign(folder)
    module = retrained_module(work, architecture)
    with tempfile.TemporaryDirectory(prefix="supernaut-") as scratch:
        path = Path(scratch) / "model.onnx"
        export_onnx(module, work.plan.task.example(2), path)
        record = work.repository.find_evaluation(
            work.study.id, digest=architecture.digest, fidelity=EXPORTED, seed=work.spec.seed
        )
        measured = _time(work, module, path) if record is None else {}
        values = record.values if record else _measure(work, module, path, measured)
        folder = write_bundle(
            folder,
            onnx_file=path,
            module=module,
            task=work.plan.task,
            origin=_origin(work, architecture),
            numbers=numbers(work, architecture, values),
        )
        work.record(architecture, EXPORTED, "export", values, started)
        for metric, measurement in measured.items():
            work.keep_measurement(architecture, EXPORTED, metric, measurement)
    content = (folder / "model.onnx").read_bytes()
    work.repository.record_artifact(
        work.study.id,
        NewArtifact(
            sha256=hashlib.sha256(content).hexdigest(),
            kind="onnx",
            bytes=len(content),
            uri=(folder / "model.onnx").as_uri(),
        ),
    )
    return folder


def _measure(
    work: StudyWork, module: nn.Module, path: Path, latencies: Mapping[str, LatencyMeasurement]
) -> tuple[ValueRecord, ...]:
    """Scores on validation and test in ONNX Runtime, checked against PyTorch, latency and size of the file."""
    session = Session(path)
    values = [ValueRecord(metric="file_bytes", value=float(path.stat().st_size), provenance="exported")]
    for prefix, split in (("", work.plan.task.validation), (TEST, work.plan.task.test)):
        values += [
            ValueRecord(metric=f"{prefix}{name}", value=value, provenance="exported")
            for name, value in _score(work, session, module, split, path).items()
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


def _score(work: StudyWork, session: Session, module: nn.Module, split: Split, path: Path) -> dict[str, float]:
    actual = np.concatenate([session.run_each(batch.numpy()) for batch in split.batches()])
    expected = predict(module, split).numpy()
    check_parity(expected, actual, str(path), rounds_inputs=rounds_inputs(path))
    return work.plan.task.measure(torch.from_numpy(actual), split.targets)


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
    )


def _origin(work: StudyWork, architecture: Architecture) -> Origin:
    versions = {name: version(name) for name in RECORDED_PACKAGES}
    return Origin(
        study_id=work.study.id,
        study_name=work.study.name,
        seed=work.spec.seed,
        family=work.spec.space.name,
        architecture=architecture,
        versions={**versions, "python": platform.python_version(), "runtime": runtime_version()},
        device=_device(work),
    )


def _device(work: StudyWork) -> dict[str, Any]:
    """The machine, and what its latencies are relative to: enough to repeat the measurement."""
    here = this_device()
    described: dict[str, Any] = {"id": here.fingerprint, **here.describe()}
    if work.plan.latencies:
        described["reference_ms"] = work.repository.device(here.fingerprint).reference_ms
        described["latency_settings"] = {metric: work.timer.describe(metric) for metric in work.plan.latencies}
    return described
