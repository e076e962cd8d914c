"""The timer: the latency of an ONNX file relative to a reference, in a process of its own.

Machines drift; ratios do not.  A latency is the ratio of the candidate's median to the reference's median in
the same minute, times the reference's own median on this device, which is measured once and kept.
"""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from predictors.errors import TimingError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

MEASURE_SECONDS = 0.6
CALIBRATE_SECONDS = 2.0
CONFIDENCE = 0.90


@dataclass(frozen=True, kw_only=True)
class LatencySettings:
    """Under which a latency holds."""

    batch: int = 1
    threads: int = 1

    def describe(self) -> dict[str, int | str]:
        """For the record."""
        return {"batch": self.batch, "threads": self.threads, "dtype": "float32"}


REFERENCE_SETTINGS = LatencySettings()  # whatever those of the candidate: one long-run median serves them all


@dataclass(frozen=True, kw_only=True)
class LatencyMeasurement:
    """One measured latency; all times in milliseconds, scaled by the reference."""

    p10_ms: float
    p50_ms: float
    p90_ms: float
    lower_ms: float  # 90 % interval of the median
    upper_ms: float
    repeats: int
    reference_p50_ms: float  # the reference's median in this very run: how far the machine had drifted


class LatencyBenchmark:
    """A timing process and a reference model; use as a context manager.

    `reference_ms` is the reference's long-run median on this device, from `calibrate`.
    Raises `TimingError` where the process dies or the file does not run.
    """

    def __init__(self, reference: Path, settings: LatencySettings, reference_ms: float | None = None) -> None:
        self._reference = reference
        self._settings = settings
        self.reference_ms = reference_ms
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the timing process; a later measurement starts a new one."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):  # what a dead process did not read any more
                if stream:
                    stream.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def calibrate(self) -> float:
        """Measure the reference against itself and keep its median, in milliseconds."""
        first, second = self._time(self._reference, CALIBRATE_SECONDS, REFERENCE_SETTINGS)
        self.reference_ms = statistics.median([*first, *second]) / 1e6
        return self.reference_ms

    def measure(self, path: Path, settings: LatencySettings | None = None) -> LatencyMeasurement:
        """The latency of the ONNX file at `path`, under other settings than usual if some are given."""
        if self.reference_ms is None:
            raise TimingError("the reference has no long-run median yet; call calibrate() first.")
        candidate, reference = self._time(path, MEASURE_SECONDS, settings or self._settings)
        return summarize(candidate, reference, self.reference_ms)

    def _time(self, path: Path, seconds: float, settings: LatencySettings) -> tuple[list[int], list[int]]:
        request = {
            # The timing process has another working directory.
            "candidate": str(path.absolute()),
            "settings": asdict(settings),
            "reference": str(self._reference.absolute()),
            "reference_settings": asdict(REFERENCE_SETTINGS),
            "seconds": seconds,
        }
        try:
            line = self._ask(json.dumps(request))
            reply = json.loads(line) if line.endswith("\n") else None
        except BaseException:
            # Ctrl-C, say: the answer is still to come, and would be taken for that of the next request.
            self._kill()
            raise
        if reply is None:
            code = self._kill()
            raise TimingError(f"the timing process ended with exit status {code} while it measured {path}.")
        if "error" in reply:
            raise TimingError(f"cannot time {path}: {reply['error']}")
        return reply["candidate_ns"], reply["reference_ns"]

    def _ask(self, request: str) -> str:
        """One line to the timing process, one line back; without its end where the process died."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
            return process.stdout.readline()
        except BrokenPipeError:
            return ""

    def _kill(self) -> int | None:
        """End the timing process at once; its exit status."""
        process = self._process
        if process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)  # one that is dying by itself has its own exit status to tell
        process.kill()
        code = process.wait()
        self.close()
        return code

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "predictors.latency.timing_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=_import_root(),
                # Ctrl-C must not reach it: the parent decides when it ends, by closing its standard input.
                start_new_session=True,
            )
        return self._process


def summarize(candidate_ns: Sequence[int], reference_ns: Sequence[int], reference_ms: float) -> LatencyMeasurement:
    """Percentiles of the candidate, scaled by `reference_ms` over the reference's median in the same run.

    The interval of the median is the distribution-free one from order statistics (Conover 1999, section 3.2).
    """
    ordered = sorted(candidate_ns)
    count = len(ordered)
    reference = statistics.median(reference_ns)
    scale = reference_ms / reference
    z = statistics.NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    reach = z * math.sqrt(count) / 2
    low = max(0, math.floor((count - 1) / 2 - reach))
    return LatencyMeasurement(
        p10_ms=ordered[count // 10] * scale,
        p50_ms=statistics.median(ordered) * scale,
        p90_ms=ordered[min(count - 1, count * 9 // 10)] * scale,
        lower_ms=ordered[low] * scale,
        upper_ms=ordered[count - 1 - low] * scale,
        repeats=count,
        reference_p50_ms=reference / 1e6,
    )


def _import_root() -> Path:
    """Where `predictors` is importable from, however this process found it."""
    return Path(__file__).resolve().parents[2]
