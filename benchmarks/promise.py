"""What retraining makes of chosen points: digits, and bytes of Python's own sources.

Usage: OMP_NUM_THREADS=1 python -m benchmarks.promise digits|text [--seeds 5] [--home DIR]
Runs a study for each seed (5 of digits, 1 of text unless --seeds says so) that retrains and exports the knee and both
ends of its front, the best point of at most half the largest network's latency, and that network, and appends one
JSON line a seed to benchmarks/results/promise.jsonl.  A seed that stands there is read; what is finished in DIR is not
done again.
Ten minutes a seed on two quiet cores.

What is wanted: some retrained point within two validation images (text: 1 % of perplexity) of the largest network at
half its latency or less.  The largest network is taken as it is with shared weights and, which is harder, as it is
retrained in the same way.  Scores and latencies of retrained points are those of their exported files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.spaces import DIGITS, SMALL_TEXT
from predictors.latency.device import this_device
from runner.agreement import agreements
from runner.cli.progress import following, stop_on_signals
from runner.front import EXPORTED, RETRAINED, choose, read_front
from runner.pipeline import at_work, run, submit
from runner.settings import Home
from runner.stages.export import default_folder, export_point
from runner.store import open_repository
from runner.study import parse_study
from runner.validation import plan

if TYPE_CHECKING:
    from runner.front import Front, Point
    from runner.study import StudySpec
    from search_spaces import Architecture

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "promise.jsonl"
POINTS = ["knee", "ends"]
ALLOWED_IMAGES = 2  # validation images by which a point may be worse than the largest network
ALLOWED_SHARE = 0.01  # of its perplexity
WANTED_LATENCY = 0.5  # of the largest network's

_MARGIN = 0.95  # the latency of a file is measured anew
SEEDS = {"digits": 5, "text": 1}
CASES: dict[str, dict[str, Any]] = {
    "digits": {
        "task": {"name": "digits"},
        "space": DIGITS,
        "objectives": {"error": {}, "latency_ms": {}},
        "train": {"steps": 600, "batch": 128, "precision": "fp32"},
        "search": {"evaluations": 120, "measured_latencies": 16},
        "retrain": {"steps": 600, "trials": 1},
    },
    "text": {
        "task": {"name": "text", "length": 64},
        "space": SMALL_TEXT,
        "objectives": {"perplexity": {}, "decode_latency_ms": {"tokens": 256}},
        "train": {"steps": 600, "batch": 32, "learning_rate": 3.0e-3, "precision": "fp32"},
        "search": {"evaluations": 80, "measured_latencies": 16},
        "retrain": {"steps": 800, "batch": 32, "trials": 1},
    },
}


def main() -> None:
    """Do what is missing of one study, and print what its seeds showed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=CASES)
    parser.add_argument("--seeds", type=int, help="default: 5 of digits, 1 of text")
    parser.add_argument("--home", type=Path, default=ROOT / ".demo" / "evidence")
    arguments = parser.parse_args()
    name, seeds = arguments.study, range(arguments.seeds or SEEDS[arguments.study])
    # Not of the specification, which a new setting with its old default would change.
    digest = hashlib.sha256(json.dumps(CASES[name], sort_keys=True).encode()).hexdigest()[:16]
    known = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    rows = {row["seed"]: row for row in known if (row["study"], row["settings"]) == (name, digest)}
    for seed in seeds:
        if seed not in rows:
            rows[seed] = {"study": name, "settings": digest, **one(name, seed, Home(arguments.home.absolute()))}
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a") as file:
                file.write(json.dumps(rows[seed]) + "\n")
    done = [rows[seed] for seed in seeds]
    for row in done:
        print(json.dumps({key: row[key] for key in ("seed", "largest", "points", "kept", "kept_against_retrained")}))
    gains = [point["inherited"] - point["retrained"] for row in done for point in row["points"]]
    print(f"retrained against inherited, {CASES[name]['task']['name']}: {len(gains)} points, the score falls by")
    print(f"  median {statistics.median(gains):.4f}, from {min(gains):.4f} to {max(gains):.4f}")
    for promise in ("kept", "kept_against_retrained"):
        print(f"{promise}: {sum(row[promise] for row in done)} of {len(done)} seeds")


def one(name: str, seed: int, home: Home) -> dict[str, Any]:
    """One study, and what it shows."""
    spec = spec_of(name, seed)
    with open_repository(home.database) as repository, following() as reporter, stop_on_signals() as stop:
        study = run(submit(spec, repository, home, reporter), repository, home, reporter, stop)
        quick = quickest_good(read_front(study, repository), plan(spec).space.largest().digest, *spec.goals)
        if quick is not None:
            with at_work(study, repository, home, reporter, stop) as work:
                export_point(work, quick, default_folder(work, quick))
        front = read_front(study, repository)
        stages = repository.stages(study.id)
    metric, latency = spec.goals
    planned = plan(spec)
    (largest,) = front.find(planned.space.largest().digest)
    chosen = choose(front, POINTS if quick is None else [*POINTS, quick.digest])
    found = [described(point, metric, latency) for point in chosen]
    beside = described(largest, metric, latency)
    images = len(planned.task.validation)
    return {
        "seed": seed,
        "metric": metric,
        "latency": latency,
        "largest": beside,
        "points": found,
        "kept": any(keeps(point, beside["inherited"], beside[latency], metric, images) for point in found),
        "kept_against_retrained": any(
            keeps(point, beside["exported"], beside[latency], metric, images) for point in found
        ),
        "agreement": [each.to_json() for each in agreements(front)],
        "seconds": {
            stage.name: round((stage.finished_at - stage.started_at).total_seconds())
            for stage in stages
            if stage.finished_at and stage.started_at
        },
        "threads": torch.get_num_threads(),
        "device": this_device().describe(),
        "versions": {package: version(package) for package in ("torch", "onnxruntime", "onnxscript")},
    }


def spec_of(name: str, seed: int) -> StudySpec:
    """The study of one seed, the largest architecture among the points that it retrains."""
    data = {"name": f"promise-{name}-{seed}", "seed": seed, **CASES[name]}
    digest = plan(parse_study(data, "promise")).space.largest().digest
    return parse_study({**data, "retrain": {**data["retrain"], "points": [*POINTS, digest]}}, "promise")


def quickest_good(front: Front, largest: str, metric: str, latency: str) -> Architecture | None:
    """What somebody would pick who may spend half of the largest network's time: the best score within it."""
    (slow,) = front.find(largest)
    limit = _MARGIN * WANTED_LATENCY * slow.number(latency)
    allowed = [point for point in front.points if point.number(latency) <= limit]
    return min(allowed, key=lambda point: point.number(metric)).architecture if allowed else None


def described(point: Point, metric: str, latency: str) -> dict[str, Any]:
    """A point's score by kind, and the latency of its file in milliseconds."""
    return {
        "architecture": point.architecture.digest,
        "inherited": point.number(metric),
        "retrained": point.later[RETRAINED][metric].value,
        "exported": point.later[EXPORTED][metric].value,
        latency: point.later[EXPORTED][latency].value,
    }


def keeps(point: dict[str, Any], score: float, milliseconds: float, metric: str, images: int) -> bool:
    """Whether a point is about as good as the largest network, whose numbers these are, in half its time."""
    allowed = score * (1 + ALLOWED_SHARE) if metric == "perplexity" else score + ALLOWED_IMAGES / images
    (latency,) = (value for name, value in point.items() if name.endswith("latency_ms"))
    return bool(point["exported"] <= allowed + math.ulp(allowed)) and bool(latency <= WANTED_LATENCY * milliseconds)


if __name__ == "__main__":
    main()
