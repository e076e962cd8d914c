"""Whether a bundle still is what it was: its files, its outputs, its scores on the test split, its latency.

Owns what is looked at and what counts as wrong.  Digests and parity are `supernet.export.bundle`'s.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from predictors.latency.benchmark import LatencyBenchmark, LatencySettings
from predictors.latency.device import this_device
from runner.errors import RunnerError
from supernet.errors import SupernetError
from supernet.export.bundle import MAIN, formats_of, verify_bundle
from supernet.models.family import LATENCY

if TYPE_CHECKING:
    from pathlib import Path

    from runner.settings import Home
    from runner.study import StudySpec
    from supernet.export.bundle import Verified
    from supernet.tasks.task import Task

REPEATS = 3
# Medians of ratios repeat within 2 % on a busy machine; twice that plus the promise's own interval is no news.
TOLERANCE = 0.05
# Of scores, times the score where that exceeds one: near ties may be decided otherwise by another processor, and
# rounding to few bits moves more of them.
EXACT, ROUNDED = 0.002, 0.01

State = Literal["ok", "flagged", "skipped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at: flagged is worth a look, failed is wrong."""

    check: str
    state: State
    found: str


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much is looked at."""

    latency: bool = True
    quality: bool = True
    run_code: bool = False  # of formats that come as code
    study: StudySpec | None = None  # whose task scores the bundle; None: the one in the manifest


def examine(folder: Path, home: Home, scope: Scope) -> Iterator[Check]:
    """Look at a bundle, one thing after the other; nothing is looked at once the files themselves are wrong."""
    try:
        verified = verify_bundle(folder, run_code=scope.run_code)
    except SupernetError as error:
        yield Check(check="files", state="failed", found=str(error))
        return
    yield Check(check="digests", state="ok", found=f"{verified.files} files as they were written")
    if verified.unlisted:
        found = f"not part of the bundle, and not looked at: {', '.join(verified.unlisted)}"
        yield Check(check="other files", state="flagged", found=found)
    yield Check(check="model", state="ok", found="a valid ONNX file")
    yield from _parity(verified)
    if scope.quality:
        yield from _quality(folder, verified.manifest, home, scope)
    if scope.latency:
        yield verify_latency(folder, verified.manifest, home)


def _parity(verified: Verified) -> Iterator[Check]:
    for name, parity in verified.formats.items():
        if parity is None:
            found = "not run, because opening it runs code of its author: if you trust it, give --run-code"
            yield Check(check=f"parity {name}", state="skipped", found=found)
            continue
        found = (
            f"{parity.samples} sample outputs, largest difference {parity.largest_difference:.1e}, no decision changed"
        )
        yield Check(check=f"parity {name}", state="ok", found=found)


def _quality(folder: Path, manifest: Mapping[str, Any], home: Home, scope: Scope) -> Iterator[Check]:
    """The scores of each format on the test split, where the task's data is here."""
    from runner.format_scores import score_files
    from supernet.export.formats.registry import load_format

    task = _task_here(manifest, home, scope.study)
    if isinstance(task, str):
        yield Check(check="quality", state="skipped", found=task)
        return
    for name, entry in formats_of(manifest).items():
        promised = {
            number["metric"]: number["value"]
            for number in manifest["numbers"]
            if (number["split"], number["provenance"]) == ("test", "exported") and number.get("format", MAIN) == name
        }
        made = load_format(name)
        if not promised or (made.runs_code and not scope.run_code):
            continue
        exact = entry["exact"] and not entry.get("rounds_inputs", True)
        try:
            scored = score_files(made, folder, entry["files"][0], task, task.test)
        except SupernetError as error:
            yield Check(check=f"quality {name}", state="failed", found=str(error))
            continue
        yield _compared(f"quality {name}", promised, scored, EXACT if exact else ROUNDED, len(task.test))


def _compared(
    check: str, promised: Mapping[str, float], scored: Mapping[str, float], tolerance: float, samples: int
) -> Check:
    """`tolerance` or one sample of so many, whichever is more."""
    parts, wrong = [], False
    for metric, before in promised.items():
        now = scored.get(metric)
        allowed = max(tolerance, 1.01 / samples) * max(1.0, abs(before))
        wrong |= now is None or abs(now - before) > allowed
        shown = "none" if now is None else f"{now:.4f}"
        parts.append(f"{metric} {shown}" + ("" if shown == f"{before:.4f}" else f" (promised {before:.4f})"))
    return Check(
        check=check,
        state="failed" if wrong else "ok",
        found=f"{', '.join(parts)} on {samples} test samples"
        + ("; that is not what the manifest promises" if wrong else ", as promised"),
    )


def _task_here(manifest: Mapping[str, Any], home: Home, study: StudySpec | None) -> Task | str:
    """The task with the bundle's data, or why it is not here."""
    from runner.registered.ledger import read_registered
    from runner.registered.resolving import task_of
    from runner.study import recorded_spec

    written = manifest.get("specification")
    if study is None and written is None:
        return "this bundle does not say how its data is read (it was written by an older version); give --study"
    try:
        spec = study or recorded_spec(json.dumps(written), manifest["study"]["name"])
        task = task_of(spec.task, read_registered(home))
    except (RunnerError, SupernetError) as error:
        return f"the data of its task is not here: {error}"
    here, wanted = task.checksum(), manifest["task"]["sha256"]
    if here != wanted:
        return f"the data here is not the bundle's (SHA-256 {here[:16]}, not {wanted[:16]}), so scores say nothing"
    return task


def verify_latency(folder: Path, manifest: Mapping[str, Any], home: Home) -> Check:
    """What was promised and what is measured now, or why that cannot be compared here."""

    def found(state: State, words: str) -> Check:
        return Check(check="latency", state=state, found=words)

    promised = next(
        (
            number
            for number in manifest["numbers"]
            if (number["metric"], number["provenance"], number.get("format", MAIN)) == (LATENCY, "exported", MAIN)
        ),
        None,
    )
    if promised is None:
        return found("skipped", "the bundle promises none")
    here = this_device().fingerprint
    reference = home.device(here) / "reference.onnx"
    if promised["device"] == here and not reference.exists():
        return found(
            "skipped",
            f"promised {promised['value']:.4f} ms; not compared, {reference} is missing (it is made by a study)",
        )
    if promised["device"] != here:
        return found(
            "skipped",
            f"promised {promised['value']:.4f} ms on device {promised['device']}; this is {here}, not compared",
        )
    measured_under = manifest["device"].get("latency_settings", {}).get(LATENCY)
    if measured_under is None:
        words = (
            "not compared, this bundle does not say under which settings it was measured (an older version wrote it)"
        )
        return found("skipped", f"promised {promised['value']:.4f} ms; {words}")
    settings = LatencySettings(batch=measured_under["batch"], threads=measured_under["threads"])
    with LatencyBenchmark(reference, settings, manifest["device"]["reference_ms"]) as benchmark:
        measured = [benchmark.measure(folder / "model.onnx").p50_ms for _ in range(REPEATS)]
    now = statistics.median(measured)
    low, high = promised["lower"] * (1 - TOLERANCE), promised["upper"] * (1 + TOLERANCE)
    interval = f"{promised['value']:.4f} [{promised['lower']:.4f}, {promised['upper']:.4f}] ms"
    if low <= now <= high:
        return found("ok", f"{now:.4f} ms, promised {interval}")
    faster = "faster" if now < low else "SLOWER"
    return found("flagged", f"{now:.4f} ms is {faster} than the promised {interval}")
