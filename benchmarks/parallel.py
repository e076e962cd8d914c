"""How much faster two workers search than one.

    OMP_NUM_THREADS=1 python benchmarks/parallel.py [--repeats 5] [--evaluations 40] [--output PATH]

Whole searches through the public `search`: surrogate, two objectives, an evaluator of about one CPU-second on one
thread (matrix products in NumPy and arithmetic in Python, half each). Wall-clock time from the first attempt
to the last result; that is with the search's own thinking, without starting Ray, which is given apart. One
worker, two workers and the serial executor run alternately, in changing order, and each ratio is of neighbours.
The promise is a median of at least 1.7 on two idle cores. The load of the machine before each run is kept, because
other work on it falsifies the result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from runner.search.engine import search
from search_spaces import Architecture, Categorical, Ordinal, SearchSpace

if TYPE_CHECKING:
    from runner.search import SearchResult

SEED = 0
PROMISE = 1.7
SIDES: tuple[int | Literal["serial"], ...] = ("serial", 1, 2)
GAINS = {"conv": 0.0, "windowed": 0.6, "softmax": 1.0}
_MATRIX = 256
_UNIT_PRODUCTS, _UNIT_ADDITIONS = 4, 60_000  # a few milliseconds each; repeated to reach the wanted time


def space() -> SearchSpace:
    """16 choices; too large to list."""
    return SearchSpace(
        {
            **{f"layers.{i}.width": Ordinal(1, 2, 3, 4) for i in range(8)},
            **{f"layers.{i}.mixer": Categorical(*GAINS) for i in range(8)},
        }
    )


def work(units: int) -> float:
    """Real work on one thread: the processor is busy all the time, the interpreter's lock is held half of it."""
    matrix = np.full((_MATRIX, _MATRIX), 1.0 / _MATRIX)
    product, total = matrix, 0
    for _ in range(units):
        for _ in range(_UNIT_PRODUCTS):
            product = product @ matrix
        for number in range(_UNIT_ADDITIONS):
            total += number & 1
    return float(product[0, 0]) + total * 0.0


class Evaluate:
    """Error and latency by formulas, after the work."""

    def __init__(self, units: int) -> None:
        self.units = units

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        work(self.units)
        widths = [float(architecture[f"layers.{i}.width"]) for i in range(8)]
        gains = [
            {"conv": 0.0, "windowed": 0.6, "softmax": 1.0}[str(architecture[f"layers.{i}.mixer"])] for i in range(8)
        ]
        quality = sum(np.log1p(width) + gain for width, gain in zip(widths, gains, strict=True))
        return {"error": float(np.exp(-quality / 8)), "latency_ms": sum(widths) + 2.0 * sum(gains)}


def units_for(seconds: float) -> int:
    """How many units of work take about so long, by this thread's CPU time."""
    work(5)
    began = time.process_time()
    work(20)
    return max(1, round(20 * seconds / (time.process_time() - began)))


def run(workers: int | Literal["serial"], evaluate: Evaluate, evaluations: int) -> dict[str, Any]:
    """One search; times in seconds."""
    ended: list[float] = []
    load = os.getloadavg()[0]
    began = time.perf_counter()
    result: SearchResult = search(
        space(),
        evaluate,
        {"error": "minimize", "latency_ms": "minimize"},
        algorithm="surrogate",
        evaluations=evaluations,
        seed=SEED,
        workers=workers,
        on_evaluation=lambda _: ended.append(time.perf_counter()),
    )
    durations = [e.duration_ms / 1e3 for e in result.evaluations if e.duration_ms is not None]
    assert len(durations) == evaluations, [e.failure_message for e in result.evaluations]
    first = ended[0] - durations[0]  # the first attempt started then
    return {
        "workers": workers,
        "search_s": ended[-1] - first,
        "start_s": first - began,
        "evaluation_s_median": statistics.median(durations),
        "busy": sum(durations) / (ended[-1] - first) / (1 if workers == "serial" else workers),
        "load_before": load,
    }


def machine() -> dict[str, Any]:
    """Where this ran."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0].split(":")[1].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "ray": version("ray"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU time of one evaluation")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "parallel.json")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        evaluate = Evaluate(units_for(arguments.seconds))
        runs: list[dict[str, Any]] = []
        ratios: dict[str, list[float]] = {"one worker": [], "serial": []}
        for repeat in range(arguments.repeats):
            found = {}
            for workers in SIDES if repeat % 2 else reversed(SIDES):
                found[workers] = run(workers, evaluate, arguments.evaluations)
                runs.append({"repeat": repeat, **found[workers]})
                print({key: round(value, 3) if isinstance(value, float) else value for key, value in runs[-1].items()})
            ratios["one worker"].append(found[1]["search_s"] / found[2]["search_s"])
            ratios["serial"].append(found["serial"]["search_s"] / found[2]["search_s"])
    report = {
        "command": "OMP_NUM_THREADS=1 python benchmarks/parallel.py "
        f"--repeats {arguments.repeats} --evaluations {arguments.evaluations} --seconds {arguments.seconds}",
        "machine": machine(),
        "clock": "wall clock",
        "seed": SEED,
        "promise": PROMISE,
        "speedup_of_two_workers": {
            f"over {name}": {"median": statistics.median(values), "each": values} for name, values in ratios.items()
        },
        "runs": runs,
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    for name, values in ratios.items():
        print(f"two workers over {name}: {statistics.median(values):.2f} (each: {[round(v, 2) for v in values]})")


if __name__ == "__main__":
    main()
