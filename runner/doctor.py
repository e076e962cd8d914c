"""Whether this machine is ready for a study: each check by doing the thing once."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from predictors.latency.device import this_device
from search_spaces.compression import WEIGHT_BITS

if TYPE_CHECKING:
    from runner.settings import Home

LEAST_FREE_BYTES = 500_000_000
TIMINGS = 5
NOISY = 0.05  # spread of repeated latencies beyond which a person should close other programs


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is good, and what was found or is to be done."""

    check: str
    ok: bool
    found: str


def examine(home: Home) -> list[Finding]:
    """Run every check; a check that cannot be run is a finding, not an error."""
    checks: tuple[tuple[str, Callable[[Home], tuple[bool, str]]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("state folder", _state_folder),
        ("disk", _disk),
        ("record", _record),
        ("device", _device),
        ("kernels", _kernels),
        ("timer", _timer),
    )
    findings = []
    for name, check in checks:
        try:
            ok, found = check(home)
        except Exception as error:  # noqa: BLE001  (a broken part must not hide the state of the others)
            ok, found = False, f"{type(error).__name__}: {error}"
        findings.append(Finding(name, ok, found))
    return findings


def _python(_: Home) -> tuple[bool, str]:
    return True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _packages(_: Home) -> tuple[bool, str]:
    found, missing = [], []
    for name in sorted(
        re.split(r"[<>=;\[ ]", line)[0] for line in requires("supernaut") or () if "extra ==" not in line
    ):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return False, f"missing: {', '.join(missing)}; install Supernaut again"
    return True, ", ".join(found)


def _state_folder(home: Home) -> tuple[bool, str]:
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryFile(dir=home.path) as file:
        file.write(b"written")
    return True, str(home.path)


def _disk(home: Home) -> tuple[bool, str]:
    free = shutil.disk_usage(home.path).free
    return free >= LEAST_FREE_BYTES, f"{free / 1e9:.1f} GB free, {LEAST_FREE_BYTES / 1e9:.1f} GB wanted"


def _record(home: Home) -> tuple[bool, str]:
    from runner.store import open_repository

    with open_repository(home.database) as repository:
        return True, f"{len(repository.studies())} studies in {home.database}"


def _device(_: Home) -> tuple[bool, str]:
    device = this_device()
    return (
        True,
        f"{device.fingerprint}: {device.processor}, {device.cores} cores, {' '.join(device.instructions)}",
    )


def _kernels(_: Home) -> tuple[bool, str]:
    from supernet.export.kernels import missing_kernel, signed_int8_is_exact
    from supernet.export.runtime import runtime_version

    missing = [f"no {bits}-bit kernel ({reason})" for bits in WEIGHT_BITS if (reason := missing_kernel(bits))]
    usable = ", ".join(str(bits) for bits in WEIGHT_BITS if missing_kernel(bits) is None)
    signed = "signed" if signed_int8_is_exact() else "unsigned, because this processor's signed products saturate"
    return not missing, "; ".join([f"{runtime_version()}: weights of {usable} bits, 8-bit ones {signed}", *missing])


def _timer(_: Home) -> tuple[bool, str]:
    """Export a model, time it against itself, and see how far repeated latencies spread."""
    from predictors.latency.benchmark import LatencyBenchmark, LatencySettings
    from predictors.latency.reference import write_reference

    with tempfile.TemporaryDirectory(prefix="supernaut-") as folder:
        reference = Path(folder) / "reference.onnx"
        write_reference(reference)
        with LatencyBenchmark(reference, LatencySettings()) as benchmark:
            benchmark.calibrate()
            medians = [benchmark.measure(reference).p50_ms for _ in range(TIMINGS)]
    spread = max(medians) / min(medians) - 1
    advice = "" if spread <= NOISY else "; close other programs, latencies would be noisy"
    return spread <= NOISY, f"{min(medians):.4f} ms, {TIMINGS} repeats within {spread:.1%}{advice}"
