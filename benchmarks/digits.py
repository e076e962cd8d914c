"""The digits study over several seeds: does the knee classify, and does the front beat the largest network?

Usage: python -m benchmarks.digits [--seeds 5] [--home DIR]
Runs `examples/digits.yaml` once for each seed (a seed that is complete in DIR is read, not run again) and appends
one line a seed to benchmarks/results/digits.jsonl.  About three minutes a seed on two cores.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictors.latency.device import this_device
from runner.cli.progress import following, stop_on_signals
from runner.front import read_front
from runner.pipeline import run, submit
from runner.settings import Home
from runner.store import open_repository
from runner.study import StudySpec, load_study
from runner.validation import plan

if TYPE_CHECKING:
    from search_spaces import Architecture

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "digits.jsonl"
ALLOWED_ERRORS = 2  # validation images by which a point may be worse than the largest architecture


def main() -> None:
    """Run what is missing, then print medians over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--home", type=Path, default=ROOT / ".demo" / "evidence")
    arguments = parser.parse_args()
    known = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    example = load_study(ROOT / "examples" / "digits.yaml")
    done = {row["seed"]: row for row in known if row["spec"] == example.model_copy(update={"seed": row["seed"]}).digest}
    for seed in range(arguments.seeds):
        if seed not in done:
            done[seed] = one(example, seed, Home(arguments.home))
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a") as file:
                file.write(json.dumps(done[seed]) + "\n")
    rows = [done[seed] for seed in range(arguments.seeds)]
    for row in rows:
        print(row)
    for metric in ("test_accuracy", "front_points", "mixed_bits_points", "fastest_as_good_ratio", "seconds"):
        values = [row[metric] for row in rows if row.get(metric) is not None]
        if values:
            print(f"{metric}: median {statistics.median(values):.4f}, from {min(values):.4f} to {max(values):.4f}")


def one(example: StudySpec, seed: int, home: Home) -> dict[str, Any]:
    """One study, and what it shows."""
    spec = example.model_copy(update={"name": f"digits-{seed}", "seed": seed})
    with open_repository(home.database) as repository, following() as reporter, stop_on_signals() as stop:
        study = run(submit(spec, repository, home, reporter), repository, home, reporter, stop)
        front = read_front(study, repository)
        stages = repository.stages(study.id)
    planned = plan(spec)
    (largest,) = front.find(planned.space.largest().digest)
    allowed = largest.number("error") + ALLOWED_ERRORS / len(planned.task.validation)
    as_good = [p for p in front.points if p.number("error") <= allowed + 1e-12]
    knee = front.knee
    assert knee is not None
    exported = knee.later["exported"]
    checked = stages[3].detail["predictions"]["latency_ms"]
    return {
        "seed": seed,
        "spec": spec.digest,
        "test_accuracy": exported["test_accuracy"].value,
        "knee_latency_ms": exported["latency_ms"].value,
        "front_points": len(front.points),
        "mixed_bits_points": sum(len(bits_of(point.architecture)) > 1 for point in front.points),
        "predicted_points": sum(bool(point.predicted(front.goals)) for point in front.points),
        "largest_error": largest.number("error"),
        "largest_latency_ms": largest.number("latency_ms"),
        "fastest_as_good_ratio": min(p.number("latency_ms") for p in as_good) / largest.number("latency_ms")
        if as_good
        else None,
        "seconds": round(
            sum((s.finished_at - s.started_at).total_seconds() for s in stages if s.finished_at and s.started_at)
        ),
        "interval": [checked["inside_interval"], checked["checked_predictions"]],
        "device": this_device().describe(),
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "onnxscript")},
        "python": platform.python_version(),
    }


def bits_of(architecture: Architecture) -> set[object]:
    """The different numbers of bits in which an architecture stores its layers."""
    return {value for name, value in architecture.items() if name.endswith(".bits")}


if __name__ == "__main__":
    main()
