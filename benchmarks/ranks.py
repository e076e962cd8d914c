"""How much faster two processes train one supernet than one.

    OMP_NUM_THREADS=1 python benchmarks/ranks.py [--repeats 9] [--steps 20] [--output PATH]

Training steps of the vision transformer on the digits, sandwich, batch 128, one thread for each process, gloo between
them.  Both processes stay up; in turns they train some steps together and the first one trains as many alone, with the
whole batch, while the other one sleeps.  Each ratio is of neighbours; two would be perfect on two idle cores.  Health
checks, checkpoints and the start of processes are left out.  The load of the machine before each round is kept, because
other work on it falsifies the result.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from runner.recipes import sampler_of
from runner.scoring import train_config
from runner.study import parse_study
from runner.validation import Plan, resolve
from supernet.training.loop import LoopConfig, Stopped, Watcher
from supernet.training.process_group import ProcessGroup
from supernet.training.reducer import Alone, Reducer
from supernet.training.supernet import train_supernet

RANKS = 2
WARM_UP = 3  # steps, of each training
STUDY = {
    "name": "ranks",
    "task": {"name": "digits"},
    "space": {"name": "vision_transformer"},
    "objectives": {"error": {}},
    "train": {"batch": 128, "precision": "fp32"},
}


def step_seconds(plan: Plan, config: LoopConfig, reducer: Reducer, steps: int) -> list[float]:
    """Each of some steps of a training that is given up afterwards, before its first health check.

    Only the first process hears of steps, and only its answer counts.
    """
    times: list[float] = []

    def progress(done: int, total: int, loss: float) -> None:
        times.append(time.perf_counter())

    with suppress(Stopped):
        train_supernet(
            plan.shared_weights(),
            plan.task,
            sampler_of(plan.spec.train, plan.space),
            config,
            watcher=Watcher(progress=progress, stop=lambda: len(times) > WARM_UP + steps),
            reducer=reducer,
        )
    return [later - earlier for earlier, later in itertools.pairwise(times[WARM_UP:])]


def rank_main(rank: int, folder: str, arguments: argparse.Namespace) -> None:
    """One process: what it measured, if it is the first, is written to the folder."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS)
    plan = resolve(parse_study(STUDY, "the benchmark"))
    config = train_config(plan.spec)
    rounds: list[dict[str, Any]] = []
    for repeat in range(arguments.repeats):
        found: dict[str, Any] = {"repeat": repeat, "load_before": os.getloadavg()[0]}
        for side in ("alone", "together") if repeat % 2 else ("together", "alone"):
            dist.barrier()
            if side == "together":
                times = step_seconds(plan, config, ProcessGroup(), arguments.steps)
            elif rank == 0:
                times = step_seconds(plan, config, Alone(), arguments.steps)
            if rank == 0:
                found[side] = statistics.median(times)
        rounds.append(found)
    if rank == 0:
        Path(folder, "rounds.json").write_text(json.dumps(rounds))
    dist.destroy_process_group()


def machine() -> dict[str, Any]:
    """Where this ran."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0].split(":")[1].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="of each side of a repeat")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "ranks.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=rank_main, args=(rank, folder, arguments)) for rank in range(RANKS)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        rounds = json.loads(Path(folder, "rounds.json").read_text())
    ratios = [found["alone"] / found["together"] for found in rounds]
    report = {
        "command": f"OMP_NUM_THREADS=1 python benchmarks/ranks.py --repeats {arguments.repeats} "
        f"--steps {arguments.steps}",
        "machine": machine(),
        "clock": "wall clock, median seconds of a step",
        "speedup_of_two_processes": {"median": statistics.median(ratios), "each": ratios},
        "rounds": rounds,
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"two processes over one: {statistics.median(ratios):.2f} (each: {[round(ratio, 2) for ratio in ratios]})")


if __name__ == "__main__":
    main()
