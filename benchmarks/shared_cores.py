"""What a training step costs on a machine that does something else too, by how its threads wait and how many they are.

    python -m benchmarks.shared_cores [--repeats 3] [--steps 4] [--output PATH]

Steps of supernets on the digits, sandwich, batch 128.  Each measurement is a process of its own, since OpenMP reads its
variables once; in each round three ways take turns, alone on the machine, beside one process that computes without end,
and beside one of these for each core: as many threads as torch takes by itself, which spin while they wait; as many
that sleep; and one thread, which waits for nobody.  Means, because what waiting costs comes in a few long steps.
Ratios are of neighbours in one round, to the first way.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.ranks import machine, step_seconds
from predictors.latency.device import usable_cores
from runner.scoring import train_config
from runner.study import parse_study
from runner.validation import resolve
from supernet.training.reducer import Alone

FAMILIES = ("vision_transformer", "convnet")
WAYS: dict[str, dict[str, str]] = {
    "default": {},
    "asleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


@contextmanager
def others(count: int) -> Iterator[None]:
    """Processes that never wait, beside what happens in the block."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def measured(family: str, way: str, steps: int) -> float:
    """Seconds a step, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.shared_cores", "--one", family, "--steps", str(steps)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, **WAYS[way]},
    )
    return float(done.stdout)


def one(family: str, steps: int) -> float:
    """The mean of some steps in this process."""
    plan = resolve(
        parse_study(
            {
                "name": "shared",
                "task": {"name": "digits"},
                "space": {"name": family},
                "objectives": {"error": {}},
                "train": {"batch": 128, "precision": "fp32"},
            },
            "the benchmark",
        )
    )
    return statistics.mean(step_seconds(plan, train_config(plan.spec), Alone(), steps))


def summarized(rounds: list[dict[str, Any]], family: str, beside: int, way: str) -> dict[str, Any]:
    """What the ratios of one way to the default are, in words too."""
    ratios = [
        found[way] / found["default"] for found in rounds if (found["family"], found["beside"]) == (family, beside)
    ]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"{family}, {beside} beside, {way}: {middle:.2f} of the default ({low:.2f} to {high:.2f})")
    return {
        "family": family,
        "busy_processes_beside": beside,
        "way": way,
        "of_the_default": {"median": middle, "lowest": low, "highest": high},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of each measurement")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "shared_cores.json")
    parser.add_argument("--one", choices=FAMILIES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(one(arguments.one, arguments.steps))
        return
    rounds: list[dict[str, Any]] = []
    for repeat in range(arguments.repeats):
        for family in FAMILIES:
            for beside in sorted({0, 1, usable_cores()}):
                found: dict[str, Any] = {"family": family, "beside": beside, "load_before": os.getloadavg()[0]}
                with others(beside):
                    for way in list(WAYS) if repeat % 2 else reversed(WAYS):
                        found[way] = measured(family, way, arguments.steps)
                rounds.append(found)
                print(json.dumps(found), flush=True)
    summary = [
        summarized(rounds, family, beside, way)
        for family in FAMILIES
        for beside in sorted({found["beside"] for found in rounds})
        for way in list(WAYS)[1:]
    ]
    report = {
        "command": f"python -m benchmarks.shared_cores --repeats {arguments.repeats} --steps {arguments.steps}",
        "machine": {**machine(), "torch_threads": torch.get_num_threads()},
        "clock": "wall clock, mean seconds of a step",
        "summary": summary,
        "rounds": rounds,
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
