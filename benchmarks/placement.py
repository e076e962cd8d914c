"""Where attention belongs in associative recall: a known answer with two layers, and what four layers give.

Usage: OMP_NUM_THREADS=1 python -m benchmarks.placement [--home DIR]
Runs examples/placement.yaml through the command line, then the same with four layers (sixteen placements, subnets
drawn at random and taught by labels), and writes benchmarks/results/placement.json.  About ten minutes each; what is
finished in DIR is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from predictors.latency.device import this_device
from runner.front import read_front
from runner.settings import Home
from runner.store import open_repository

if TYPE_CHECKING:
    from search_spaces import Architecture

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "placement.json"
EXAMPLE = ROOT / "examples" / "placement.yaml"


def main() -> None:
    """Run both studies and write what they showed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=ROOT / ".demo" / "evidence")
    home = Home(parser.parse_args().home.absolute())
    two, four = (yaml.safe_load(EXAMPLE.read_text()) for _ in range(2))
    for spec in (two, four):  # without its bound, so that the fronts also show what is cheap and recalls nothing
        spec["objectives"]["error"].pop("at_most")
    four["name"] = "placement-four"
    four["space"]["choices"]["depth"] = 4
    four["train"] |= {"recipe": "sandwich", "random_subnets": 2, "distillation": "labels"}
    four["search"] |= {"evaluations": 16}
    four["retrain"] |= {"steps": 100}
    found = {
        "two_layers": study(two, home),
        "four_layers": study(four, home),
        "device": this_device().describe(),
        "versions": {name: version(name) for name in ("torch", "onnxruntime")},
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def study(spec: dict[str, Any], home: Home) -> dict[str, Any]:
    """Run one study; every placement, and which of them are on the front."""
    home.path.mkdir(parents=True, exist_ok=True)
    file = home.path / f"{spec['name']}.yaml"
    file.write_text(yaml.safe_dump(spec))
    command = [sys.executable, "-m", "runner.cli.main", "--home", str(home.path), "run", str(file)]
    subprocess.run(command, check=True)
    with open_repository(home.database) as repository:
        recorded = next(study for study in repository.studies() if study.name == spec["name"])
        front = read_front(recorded, repository)
        train = next(stage for stage in repository.stages(recorded.id) if stage.name == "train")
    assert train.started_at is not None
    assert train.finished_at is not None
    on_front = {point.evaluation_id for point in front.points}
    return {
        "spec": spec,
        "train_seconds": round((train.finished_at - train.started_at).total_seconds()),
        "placements": [
            {
                "layers": placement(point.architecture),
                "accuracy": point.number("accuracy"),
                "macs": point.number("macs"),
                "kv_cache_bytes": point.number("kv_cache_bytes"),
                "on_front": point.evaluation_id in on_front,
            }
            for point in sorted((*front.points, *front.others), key=lambda point: point.number("macs"))
        ],
    }


def placement(architecture: Architecture) -> list[str]:
    """What mixes tokens, layer by layer."""
    return [str(architecture[f"layers.{index}.mixer"]) for index in range(int(architecture["depth"]))]


if __name__ == "__main__":
    main()
