"""How close the algorithms come to the true fronts of measured tables, through the public `search` alone.

    OMP_NUM_THREADS=1 python benchmarks/search.py                          # NAS-Bench-Macro, 20 seeds
    OMP_NUM_THREADS=1 python benchmarks/search.py --table hwgpt_s --seeds 5

The tables are public data and no part of this repository: they are looked for in the folder `tables` of
SUPERNAUT_DATA (default ../shared/data). Each finished run is one line of results/search.jsonl, so that an
interrupted benchmark continues where it stopped; remove lines to repeat them after a change.

The figure of merit is the hypervolume of what was evaluated over that of the whole table, each objective
scaled by the table's minimum and maximum, reference point 1 in every objective, after 50, 100, 200 and 400
distinct evaluations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runner.search import algorithm_names, hypervolume
from runner.search.engine import search
from search_spaces import Architecture, Categorical, Condition, Ordinal, SearchSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RESULTS = Path(__file__).parent / "results" / "search.jsonl"
MARKS = (50, 100, 200, 400)
FIRST_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class Table:
    """Measured architectures: which metrics are evaluated, and which are computed costs."""

    space: SearchSpace
    values: Mapping[Architecture, Mapping[str, float]]
    measured: tuple[str, ...]
    costs: tuple[str, ...]
    pooled: bool  # whether the table holds only a part of the space


class MissingTable(Exception):
    """The data is not on this machine."""


def macro(folder: Path) -> Table:
    """NAS-Bench-Macro: all 6,561 networks of 8 layers with 3 blocks each; error, MACs, parameters."""
    blocks = ("identity", "mbconv3_k3", "mbconv6_k5")
    names = [f"layers.{layer}.block" for layer in range(8)]
    entries = json.loads(_table(folder, "nas-bench-macro_cifar10.json").read_text())
    values = {
        Architecture({name: blocks[int(digit)] for name, digit in zip(names, code, strict=True)}): {
            "error": 100.0 - entry["mean_acc"],
            "macs": float(entry["flops"]),
            "parameters": float(entry["params"]),
        }
        for code, entry in entries.items()
    }
    return Table(
        space=SearchSpace({name: Categorical(*blocks) for name in names}),
        values=values,
        measured=("error",),
        costs=("macs", "parameters"),
        pooled=False,
    )


def hwgpt_s(folder: Path) -> Table:
    """HW-GPT-Bench s: a pool of 10,000 GPT-like models; perplexity and latency measured, parameters computed."""
    import pandas as pd

    rows = pd.read_parquet(_table(folder, "hwgpt_s.parquet"))
    depths = sorted({int(depth) for depth in rows.n_layer})
    choices: dict[str, Categorical | Ordinal] = {
        "depth": Ordinal(*depths),
        "width": Ordinal(*sorted({int(width) for width in rows.embed_dim})),
        "bias": Categorical(False, True),
    }
    conditions = {}
    layered = {"heads": rows.n_head, "mlp_ratio": rows.mlp_ratio}
    for layer in range(max(depths)):
        for part, column in layered.items():
            choices[f"layers.{layer}.{part}"] = Ordinal(*sorted({int(v) for row in column for v in row}))
            existing = tuple(depth for depth in depths if depth > layer)
            conditions[f"layers.{layer}.{part}"] = [Condition("depth", existing)]
    values = {}
    for row in rows.itertuples():
        answers = {"depth": int(row.n_layer), "width": int(row.embed_dim), "bias": bool(row.bias)}
        for layer in range(int(row.n_layer)):
            answers[f"layers.{layer}.heads"] = int(row.n_head[layer])
            answers[f"layers.{layer}.mlp_ratio"] = int(row.mlp_ratio[layer])
        values[Architecture(answers)] = {
            "perplexity": float(row.perplexity),
            "latency_ms": float(row.latency_a100_median_ms),
            "parameters": float(row.params),
        }
    return Table(
        space=SearchSpace(choices, conditions=conditions),
        values=values,
        measured=("perplexity", "latency_ms"),
        costs=("parameters",),
        pooled=True,
    )


TABLES: dict[str, Callable[[Path], Table]] = {"macro": macro, "hwgpt_s": hwgpt_s}


def measure(table: Table, algorithm: str, seed: int, evaluations: int) -> dict[str, object]:
    """One search: the share of the true front's hypervolume at each mark, and the time of the algorithm."""
    objectives = (*table.measured, *table.costs)
    every = np.array([[values[name] for name in objectives] for values in table.values.values()])
    low, span = every.min(axis=0), np.ptp(every, axis=0)
    start = time.process_time()
    result = search(
        table.space,
        lambda architecture: {name: table.values[architecture][name] for name in table.measured},
        dict.fromkeys(objectives, "minimize"),
        algorithm=algorithm,
        evaluations=evaluations,
        seed=seed,
        costs={name: _looked_up(table, name) for name in table.costs},
        candidates=table.values if table.pooled else None,
    )
    seconds = time.process_time() - start
    found = np.array([[evaluation.values[name] for name in objectives] for evaluation in result.evaluations])
    reference = np.ones(len(objectives))
    true = hypervolume((every - low) / span, reference)
    return {
        "share": {
            mark: hypervolume((found[:mark] - low) / span, reference) / true for mark in MARKS if mark <= evaluations
        },
        "distinct": len({evaluation.architecture for evaluation in result.evaluations}),
        "cpu_ms_per_evaluation": 1000.0 * seconds / len(result.evaluations),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=TABLES, default="macro")
    parser.add_argument("--algorithms", nargs="+", choices=algorithm_names(), default=list(algorithm_names()))
    parser.add_argument("--seeds", type=int, default=20, help=f"how many, from {FIRST_SEED}")
    parser.add_argument("--evaluations", type=int, default=MARKS[-1])
    chosen = parser.parse_args()
    folder = Path(os.environ.get("SUPERNAUT_DATA", "../shared/data")) / "tables"
    try:
        table = TABLES[chosen.table](folder)
    except MissingTable as error:
        print(error)
        return 1
    for algorithm in chosen.algorithms:
        for seed in range(FIRST_SEED, FIRST_SEED + chosen.seeds):
            key = {
                "table": chosen.table,
                "algorithm": algorithm,
                "seed": seed,
                "evaluations": chosen.evaluations,
            }
            if not any(key.items() <= line.items() for line in _recorded()):
                _record({**key, **measure(table, algorithm, seed, chosen.evaluations), **_circumstances()})
    _report(chosen.table, chosen.evaluations)
    return 0


def _report(table: str, evaluations: int) -> None:
    marks = [mark for mark in MARKS if mark <= evaluations]
    print(f"{table}: share of the true front's hypervolume, median [quartiles] over seeds")
    print("algorithm  seeds  " + "  ".join(f"{mark:>23}" for mark in marks) + "  CPU ms an evaluation")
    lines = [line for line in _recorded() if (line["table"], line["evaluations"]) == (table, evaluations)]
    for algorithm in algorithm_names():
        runs = [line for line in lines if line["algorithm"] == algorithm]
        if runs:
            cells = []
            for mark in marks:
                low, middle, high = np.quantile([run["share"][str(mark)] for run in runs], [0.25, 0.5, 0.75])
                cells.append(f"{middle:.4f} [{low:.4f}, {high:.4f}]")
            spent = np.median([run["cpu_ms_per_evaluation"] for run in runs])
            print(f"{algorithm:<10} {len(runs):>5}  " + "  ".join(cells) + f"  {spent:.1f}")


def _recorded() -> list[dict[str, object]]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def _record(line: dict[str, object]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _circumstances() -> dict[str, object]:
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}",
        "versions": {name: version(name) for name in ("supernaut", "numpy", "scipy", "optuna")},
    }


def _looked_up(table: Table, name: str) -> Callable[[Architecture], float]:
    return lambda architecture: table.values[architecture][name]


def _table(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        raise MissingTable(
            f"{path.resolve()} is absent. Set SUPERNAUT_DATA to the folder that holds tables/{name}; nothing was run."
        )
    return path


if __name__ == "__main__":
    sys.exit(main())
