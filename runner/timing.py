"""Latencies of architectures on this machine, kept in the record.

Owns which device a study belongs to, the device's reference model and its long-run median, and which
measurements are kept.  The timer itself is `predictors.latency.benchmark`.
"""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from predictors.errors import DeviceChanged
from predictors.latency.benchmark import LatencyBenchmark, LatencySettings
from predictors.latency.device import this_device
from predictors.latency.reference import write_reference
from runner.store.records import NewMeasurement
from supernet.export.onnx import export_onnx
from supernet.export.runtime import runtime_version
from supernet.models.family import LATENCY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from predictors.latency.benchmark import LatencyMeasurement
    from runner.settings import Home
    from runner.store.repository import Repository
    from runner.study import ObjectiveSpec
    from search_spaces import Architecture
    from supernet.models.family import Workload

THIS_MACHINE = "this-machine"


def register_this_device(repository: Repository) -> str:
    """Record the machine that this process runs on; returns its id."""
    device = this_device()
    repository.ensure_device(device.fingerprint, name=THIS_MACHINE, description=device.describe())
    return device.fingerprint


class StudyTimer:
    """Times architectures under the settings of each latency objective; close it to end its process.

    Raises `DeviceChanged` where the study was begun on a machine whose latencies are not comparable.
    """

    def __init__(
        self, repository: Repository, home: Home, objectives: Mapping[str, ObjectiveSpec], device_id: str
    ) -> None:
        if (here := this_device().fingerprint) != device_id:
            raise DeviceChanged(
                f"this study's latencies belong to device {device_id}, and this machine is {here}: run it there, or "
                "start a study of another name here. One front never mixes devices."
            )
        self.device_id = device_id
        self.settings = {
            metric: LatencySettings(batch=objective.batch, threads=objective.threads)
            for metric, objective in objectives.items()
        }
        self._tokens = {metric: objective.tokens for metric, objective in objectives.items() if metric != LATENCY}
        self._repository = repository
        self._reference = home.device(device_id) / "reference.onnx"

    def close(self) -> None:
        """End the timing process, if one was started."""
        if "_benchmark" in vars(self):
            self._benchmark.close()

    def time_workload(self, metric: str, workload: Workload) -> LatencyMeasurement:
        """Export what a latency metric is about and time the file; nothing is recorded."""
        with tempfile.TemporaryDirectory(prefix="supernaut-") as folder:
            path = Path(folder) / "candidate.onnx"
            export_onnx(workload.module, workload.inputs, path)
            return self.time_file(metric, path)

    def time_content(self, metric: str, content: bytes) -> LatencyMeasurement:
        """Time an ONNX file by what it holds; nothing is recorded."""
        with tempfile.TemporaryDirectory(prefix="supernaut-") as folder:
            path = Path(folder) / "candidate.onnx"
            path.write_bytes(content)
            return self.time_file(metric, path)

    def time_file(self, metric: str, path: Path) -> LatencyMeasurement:
        """Time an exported file; nothing is recorded."""
        return self._benchmark.measure(path, self.settings[metric])

    def describe(self, metric: str) -> dict[str, int | str]:
        """Under which settings a metric holds, for the record."""
        tokens = {"tokens": self._tokens[metric]} if metric in self._tokens else {}
        return {**self.settings[metric].describe(), **tokens}

    def record(
        self, study_id: str, architecture: Architecture, fidelity: str, metric: str, measured: LatencyMeasurement
    ) -> None:
        """Keep the full measurement; the value that a front shows is recorded with its evaluation."""
        self._repository.record_measurement(
            study_id,
            NewMeasurement(
                digest=architecture.digest,
                device_id=self.device_id,
                runtime=runtime_version(),
                metric=metric,
                settings={**self.describe(metric), "fidelity": fidelity},
                p10=measured.p10_ms,
                p50=measured.p50_ms,
                p90=measured.p90_ms,
                repeats=measured.repeats,
                reference_p50=measured.reference_p50_ms,
            ),
        )

    @cached_property
    def _benchmark(self) -> LatencyBenchmark:
        """The timing process, its reference made and calibrated on first use of this device."""
        if not self._reference.exists():
            self._reference.parent.mkdir(parents=True, exist_ok=True)
            write_reference(self._reference)
        known = self._repository.device(self.device_id).reference_ms
        benchmark = LatencyBenchmark(self._reference, LatencySettings(), known)
        if known is None:
            benchmark.reference_ms = self._repository.set_reference_ms(
                self.device_id, benchmark.calibrate()
            ).reference_ms
        return benchmark
