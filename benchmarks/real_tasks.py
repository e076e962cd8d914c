"""Studies on real images, speech, sentences and text, and whether their knees beat networks sized by hand.

Usage: OMP_NUM_THREADS=1 python -m benchmarks.real_tasks TASK [--home DIR] [--seeds 3] [--as-long]
Needs the data of shared/data (SUPERNAUT_DATA names another folder).  Runs examples/TASK.yaml through the command
line, then trains its knee and a network sized by hand, each once for every seed, and appends a line to
benchmarks/results/real_tasks.jsonl.  Whatever was finished in DIR is not done again.

The network sized by hand has the same answer in every layer, in full precision, and of a few depths and widths the
one whose latency is nearest to the knee's.  It is trained from scratch for as many steps as fit into the time that
the supernet and the knee took together; the knee starts from shared weights, as in a study.  With --as-long the knee
is also retrained for as many steps as the network by hand.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from predictors.costs import model_size
from predictors.latency.device import this_device
from runner.front import Point, read_front
from runner.registered.ledger import read_registered
from runner.settings import Home
from runner.stages.train import FOLDER
from runner.store import open_repository
from runner.study import StudySpec, load_study
from runner.timing import StudyTimer
from runner.validation import Plan, resolve
from search_spaces import load_space
from supernet.skeleton import build_real
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import LoopConfig, Watcher
from supernet.training.retrain import retrain
from supernet.training.snapshot import restore
from supernet.training.supernet import extract_recalibrated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from runner.store.records import StudyRecord
    from runner.store.repository import Repository
    from search_spaces import Architecture
    from supernet.training.precision import Precision

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "real_tasks.jsonl"
DATA = Path(os.environ.get("SUPERNAUT_DATA", ROOT.parent / "shared" / "data")) / "train"
TIMED_STEPS = 20  # of the network sized by hand, to know how many fit


@dataclass(frozen=True, kw_only=True)
class Case:
    """One example and what a person would have built instead: fixed answers, and a grid of sizes to choose from."""

    data: str  # the name that the example's task uses
    files: tuple[str, ...]
    usual: Mapping[str, Any]
    sizes: Mapping[tuple[str, ...], Sequence[Any]]  # for one name a value, for several a tuple of one value each
    wider: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # options beyond the study's space, for sizes


_TRANSFORMER = {"*.mixer": ("softmax",), "*.bits": (32,)}
CASES = {
    "images": Case(
        data="mnist",
        files=("mnist_png.tar.gz",),
        usual={"*.kernel": (3,), "*.attention": ("none",)},
        sizes={
            ("*.depth",): (1, 2, 3),
            ("stages.0.width", "stages.1.width"): ((8, 16), (12, 24), (16, 32)),
            ("*.expansion",): (2, 3),
        },
    ),
    "audio": Case(
        data="spoken-digits",
        files=("fsdd_recordings.tar.gz",),
        usual={"*.kernel": (3,)},
        sizes={("depth",): (2, 3, 4), ("*.width",): (32, 48, 64), ("embedding",): (32, 64)},
    ),
    "labelled_text": Case(
        data="sst2",
        files=("sst2_train.tsv", "sst2_dev.tsv", "sst2_test.tsv"),
        usual=_TRANSFORMER,
        sizes={("depth",): (1, 2, 3, 4), ("width",): (16, 32, 48, 64), ("*.mlp_ratio",): (1, 2, 4)},
        wider={"depth": (1, 2, 3, 4), "width": (16, 32, 48, 64)},  # none of its uniform ones is as fast as the knee
    ),
    "text": Case(
        data="shakespeare",
        files=("tinyshakespeare.txt",),
        usual={**_TRANSFORMER, "*.span": ("full",), "*.local_span": ("same",), "*.feed_forward": ("plain",)},
        sizes={("depth",): (1, 2, 3, 4), ("width",): (32, 48, 64, 96), ("*.mlp_ratio",): (1, 2, 4)},
        wider={"depth": (1, 2, 3, 4), "width": (32, 48, 64, 96)},  # none of its uniform ones is as fast as the knee
    ),
}


def main() -> None:
    """Do what is missing of one task, and print what its studies showed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=CASES)
    parser.add_argument("--home", type=Path, default=ROOT / ".demo" / "evidence")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--as-long", action="store_true")
    arguments = parser.parse_args()
    name, home = arguments.task, Home(arguments.home.absolute())
    example = load_study(ROOT / "examples" / f"{name}.yaml")
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    known = [row for row in rows if (row["task"], row["spec"]) == (name, example.digest)]
    if not known:
        run_study(name, home)
        known = [compare(name, example, home, arguments.seeds, as_long=arguments.as_long)]
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a") as file:
            file.write(json.dumps(known[0]) + "\n")
    print(json.dumps(known[-1], indent=1))


def run_study(name: str, home: Home) -> None:
    """Register the data and run the example, both as a user would."""
    case = CASES[name]
    path = DATA / case.files[0]
    if len(case.files) > 1:
        path = home.path / "data" / case.data
        path.mkdir(parents=True, exist_ok=True)
        for file in case.files:
            shutil.copyfile(DATA / file, path / file)
    command = [sys.executable, "-m", "runner.cli.main", "--home", str(home.path)]
    listed = subprocess.run([*command, "data", "list", "--output", "json"], check=True, capture_output=True, text=True)
    if case.data not in {row["name"] for row in json.loads(listed.stdout)}:
        subprocess.run([*command, "data", "add", case.data, str(path)], check=True)
    subprocess.run([*command, "run", str(ROOT / "examples" / f"{name}.yaml")], check=True)


def compare(name: str, example: StudySpec, home: Home, seeds: int, *, as_long: bool) -> dict[str, Any]:
    """The knee against the network sized by hand, over seeds of their training.  Refuses an interrupted study."""
    planned = resolve(example, read_registered(home))
    with open_repository(home.database) as repository:
        study = next(study for study in repository.studies() if study.name == example.name)
        front = read_front(study, repository)
        begun = [
            event for event in repository.events_of_kinds(study.id, ["study.state"]) if event.payload["to"] == "running"
        ]
        if len(begun) > 1:  # its stages' times hold the hours between, and the network by hand would get them, too
            raise SystemExit(
                f"the study in {home.path} was interrupted: its times cannot be compared; take another --home"
            )
        stages = {stage.name: stage for stage in repository.stages(study.id)}
        seconds = {
            stage.name: (stage.finished_at - stage.started_at).total_seconds()
            for stage in stages.values()
            if stage.finished_at is not None and stage.started_at is not None
        }
        knee = front.knee
        assert knee is not None
        by_hand, latency = sized_by_hand(name, planned, knee, repository, home, study)
    metric, main_metric = next(iter(planned.latencies)), judged_by(planned)
    budget = seconds["train"] + seconds["retrain"]
    folder = home.study(study.id) / "by_hand"
    precision = stages["train"].detail["precision"]
    steps = steps_within(planned, precision, by_hand, budget)
    settings = [config(planned, precision, planned.spec.retrain.steps, seed) for seed in range(seeds)]
    knees = [train_knee(planned, knee.architecture, home.study(study.id), folder, one) for one in settings]
    settings = [config(planned, precision, steps, seed) for seed in range(seeds)]
    hands = [train_by_hand(planned, by_hand, folder, one) for one in settings]
    longer = folder / "as_long"
    long = [train_knee(planned, knee.architecture, home.study(study.id), longer, one) for one in settings if as_long]
    return {
        "task": name,
        "spec": example.digest,
        "metric": f"test {main_metric}",
        "front_points": len(front.points),
        "predicted_points": sum(bool(point.predicted(front.goals)) for point in front.points),
        "front": [{goal: point.number(goal) for goal in front.goals} for point in front.points],
        "seconds_to_front": round(sum(seconds[stage] for stage in ("train", "profile", "search", "confirm"))),
        "seconds": {stage: round(value) for stage, value in seconds.items()},
        "knee": {
            "architecture": dict(knee.architecture),
            metric: knee.number(metric),
            "parameters": parameters(planned, knee.architecture),
            "inherited": knee.number(main_metric),
            "tests": knees,
            "median": statistics.median(knees),
            "tests_as_long": long,
        },
        "by_hand": {
            "architecture": dict(by_hand),
            metric: latency,
            "parameters": parameters(planned, by_hand),
            "steps": steps,
            "precision": precision,
            "tests": hands,
            "median": statistics.median(hands),
        },
        "threads": torch.get_num_threads(),
        "device": this_device().describe(),
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "onnxscript")},
    }


def judged_by(planned: Plan) -> str:
    """The score among the objectives."""
    return next(goal for goal in planned.goals if goal in planned.task.metrics)


def parameters(planned: Plan, architecture: Architecture) -> int:
    """How many values the network holds."""
    return model_size(planned.build(architecture)).parameters


def sized_by_hand(
    name: str, planned: Plan, knee: Point, repository: Repository, home: Home, study: StudyRecord
) -> tuple[Architecture, float]:
    """The uniform architecture whose latency is nearest to the knee's, and its latency."""
    metric = next(iter(planned.latencies))
    assert study.device_id is not None
    timer = StudyTimer(repository, home, planned.spec.latencies, study.device_id)
    case, asked = CASES[name], planned.spec.space
    space = load_space(asked.name, **{**asked.choices, **case.wider})
    choices = set(space.choices)
    found: dict[Architecture, float] = {}
    try:
        for values in itertools.product(*case.sizes.values()):
            wanted = dict(case.usual)
            for patterns, value in zip(case.sizes, values, strict=True):
                each = value if isinstance(value, tuple) else (value,)
                wanted.update({pattern: (one,) for pattern, one in zip(patterns, each, strict=True)})
            offered = {p: v for p, v in wanted.items() if p in choices or any(c.endswith(p[1:]) for c in choices)}
            architecture = space.narrow(offered).largest()
            if architecture not in found:
                module = build_real(planned.build, architecture, planned.spec.seed)
                found[architecture] = timer.time_workload(metric, planned.workload(module, metric)).p50_ms
    finally:
        timer.close()
    return min(found.items(), key=lambda pair: abs(math.log(pair[1] / knee.number(metric))))


def steps_within(planned: Plan, precision: Precision, architecture: Architecture, seconds: float) -> int:
    """How many training steps fit into `seconds`, by the processor time of a few: others may use the machine."""
    times: list[float] = []
    watcher = Watcher(progress=lambda step, steps, loss: times.append(time.process_time()))
    module = build_real(planned.build, architecture, 0)
    retrain(module, planned.task, config(planned, precision, TIMED_STEPS, 0, measured=False), watcher=watcher)
    return round(seconds / statistics.median(after - before for before, after in itertools.pairwise(times)))


def config(planned: Plan, precision: Precision, steps: int, seed: int, *, measured: bool = True) -> LoopConfig:
    """The settings of the study's retraining, in the precision that the study found best for this machine."""
    asked = planned.spec.retrain
    return LoopConfig(
        steps=steps,
        precision=precision,
        batch=asked.batch,
        learning_rate=asked.learning_rate,
        weight_decay=asked.weight_decay,
        health_every=steps if measured else steps + 1,
        seed=seed,
    )


def train_knee(planned: Plan, architecture: Architecture, study: Path, folder: Path, settings: LoopConfig) -> float:
    """The test score of the knee, retrained from shared weights with the largest subnet as its teacher."""
    weights = planned.shared_weights()
    checkpoint = Checkpoints(study / FOLDER).latest()
    assert checkpoint is not None
    restore(weights, checkpoint.tensors, str(checkpoint.path))
    module, teacher = (
        extract_recalibrated(weights, one, planned.task, settings) for one in (architecture, planned.space.largest())
    )
    checkpoints = Checkpoints(folder / f"knee-{settings.seed}")
    retrain(module, planned.task, settings, teacher=teacher, checkpoints=checkpoints)
    return tested(planned, module)


def train_by_hand(planned: Plan, architecture: Architecture, folder: Path, settings: LoopConfig) -> float:
    """The test score of the network sized by hand, trained from scratch."""
    module = build_real(planned.build, architecture, settings.seed)
    retrain(module, planned.task, settings, checkpoints=Checkpoints(folder / f"{architecture.digest}-{settings.seed}"))
    return tested(planned, module)


def tested(planned: Plan, module: nn.Module) -> float:
    """The metric on the test split, which nothing was chosen by."""
    value = planned.task.score(module, planned.task.test)[judged_by(planned)]
    print(f"  {judged_by(planned)} {value:.4f}", flush=True)
    return value


if __name__ == "__main__":
    main()
