"""The files that latencies are measured on, of architectures with shared weights, written before the timer wants them.

An export takes three times as long as the measurement of its file, and is the work of one core.  Where many are to
come, worker processes write some at once, each in its own; they rest while the timer measures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.registered.values import NOTHING, Registered
from runner.scoring import arrays_of, shared_weights_of
from runner.study import recorded_spec
from runner.validation import resolve
from supernet.export.onnx import export_onnx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.search.engine import Executor
    from runner.validation import Plan
    from runner.work import StudyWork
    from search_spaces import Architecture
    from supernet.pretrained.ranked import LayerRanks
    from supernet.shared_weights import SharedWeights

_WORTH_A_START = 3  # architectures for each worker; fewer are written sooner than a worker starts
_AT_ONCE = 2  # architectures for each worker, so that one slow export does not keep the others waiting
_WAIT_SECONDS = 1.0


class Exporter:
    """The ONNX file of an architecture with shared weights, for each latency: what the timer measures."""

    def __init__(self, plan: Plan, weights: SharedWeights) -> None:
        self._plan = plan
        self._weights = weights

    def __call__(self, architecture: Architecture) -> dict[str, Any]:
        module = self._weights.extract(architecture)
        with tempfile.TemporaryDirectory(prefix="supernaut-") as folder:
            files = {}
            for metric in self._plan.latencies:
                workload = self._plan.workload(module, metric)
                path = Path(folder) / f"{metric}.onnx"
                export_onnx(workload.module, workload.inputs, path)
                files[metric] = path.read_bytes()
        return files


@dataclass(frozen=True, kw_only=True)
class ExporterFactory:
    """Makes the exporter of a study from its specification and the arrays of its shared weights, in any process."""

    spec: str  # JSON
    name: str
    registered: Registered = NOTHING
    layer_ranks: LayerRanks = ()

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> Exporter:
        plan = resolve(recorded_spec(self.spec, self.name), self.registered)
        return Exporter(plan, shared_weights_of(plan, arrays, self.layer_ranks))


class Exports:
    """Hands out files of architectures; use as a context manager, which ends the workers."""

    def __init__(self, work: StudyWork) -> None:
        self._work = work
        self._exporter = Exporter(work.plan, work.weights)
        self._files: dict[Architecture, Mapping[str, bytes]] = {}
        self._undo = ExitStack()
        self._pool: Executor | None = None

    def __enter__(self) -> Exports:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def files(self, waiting: Sequence[Architecture]) -> Mapping[str, bytes]:
        """The content of the file of the first one, by latency; some of the others are written at the same time.

        Raises `ExportError` where there is no such file.
        """
        first = waiting[0]
        if first not in self._files:
            self._write_ahead(waiting)
        # One that a worker could not write is written here, where its error can be raised.
        return self._files.pop(first, None) or self._exporter(first)

    def _write_ahead(self, waiting: Sequence[Architecture]) -> None:
        workers = self._work.workers
        if workers == "serial" or (self._pool is None and len(waiting) < _WORTH_A_START * workers):
            return
        if self._pool is None:
            factory = ExporterFactory(**self._work.rebuilding)
            self._pool = self._undo.enter_context(
                self._work.pool(factory, arrays_of(self._work.weights), beside_others=True)
            )
        left = list(waiting[: _AT_ONCE * workers])
        under_way = 0
        while left or under_way:
            while left and self._pool.free() > 0:
                self._pool.submit(left.pop(0), 1)
                under_way += 1
            outcome = self._pool.collect(_WAIT_SECONDS)
            if outcome is not None:
                under_way -= 1
                if isinstance(outcome.returned, Mapping):
                    self._files[outcome.architecture] = outcome.returned
            if self._work.stop():
                left.clear()
