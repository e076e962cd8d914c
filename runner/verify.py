"""Whether a bundle still is as fast as its manifest promises, on the device that measured it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from predictors.latency.benchmark import LatencyBenchmark, LatencySettings
from predictors.latency.device import this_device
from supernet.models.family import LATENCY

if TYPE_CHECKING:
    from pathlib import Path

    from runner.settings import Home

REPEATS = 3
# Medians of ratios repeat within 2 % on a busy machine; twice that plus the promise's own interval is no news.
TOLERANCE = 0.05


def verify_latency(folder: Path, manifest: Mapping[str, Any], home: Home) -> str:
    """A sentence: what was promised and what is measured now, or why that cannot be compared here."""
    promised = next((n for n in manifest["numbers"] if n["metric"] == LATENCY and n["provenance"] == "exported"), None)
    if promised is None:
        return "the bundle promises none"
    here = this_device().fingerprint
    reference = home.device(here) / "reference.onnx"
    if promised["device"] == here and not reference.exists():
        return f"promised {promised['value']:.4f} ms; not compared, {reference} is missing (it is made by a study)"
    if promised["device"] != here:
        return f"promised {promised['value']:.4f} ms on device {promised['device']}; this is {here}, not compared"
    measured_under = manifest["device"]["latency_settings"][LATENCY]
    settings = LatencySettings(batch=measured_under["batch"], threads=measured_under["threads"])
    with LatencyBenchmark(reference, settings, manifest["device"]["reference_ms"]) as benchmark:
        measured = [benchmark.measure(folder / "model.onnx").p50_ms for _ in range(REPEATS)]
    now = statistics.median(measured)
    low, high = promised["lower"] * (1 - TOLERANCE), promised["upper"] * (1 + TOLERANCE)
    if low <= now <= high:
        return f"{now:.4f} ms, promised {promised['value']:.4f} ms"
    faster = "faster" if now < low else "SLOWER"
    return f"{now:.4f} ms is {faster} than the promised {promised['value']:.4f} ms"
