"""Every format on trained networks of every family: parity, accuracy, size, and ONNX against PyTorch in time.

Usage: OMP_NUM_THREADS=1 python -m benchmarks.formats [FAMILY ...] [--architectures 5] [--steps 300]
Needs the data of shared/data (SUPERNAUT_DATA names another folder).  For each family, random architectures in full
precision are trained briefly on real data and written in every format that applies; each file is scored on test
samples, one at a time.  *Exact* formats are compared with PyTorch sample by sample, others by the points of accuracy
that they lose.  Full-precision ONNX and eager PyTorch are timed in turns, one thread, one sample.  Every architecture
appends a line to benchmarks/results/formats.jsonl, and is not done again unless that line is deleted; a table of what
was found ends the run.  Times of a machine that was doing other things, or of which that is not known, are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from predictors.latency.device import this_device
from search_spaces import load_space
from supernet.errors import ParityError
from supernet.export.formats.registry import format_names, load_format
from supernet.export.parity import check_parity
from supernet.export.runtime import Session
from supernet.models.registry import family_names, load_builder
from supernet.skeleton import build_real
from supernet.tasks.registry import load_task
from supernet.tasks.task import predict
from supernet.training.loop import LoopConfig
from supernet.training.retrain import retrain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from search_spaces import Architecture, SearchSpace
    from supernet.tasks.task import Task

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "formats.jsonl"
DATA = Path(os.environ.get("SUPERNAUT_DATA", ROOT.parent / "shared" / "data")) / "train"
SEED = 0
SCORED = 300  # test samples
DECODED = 16  # of them, token by token
TURNS = 200  # of timing
QUIET = 1.5  # load of a machine that does nothing but this
POINTS = 1.0  # of accuracy; a loss of more needs a cause


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a family is trained on, and which of its architectures are small enough to train in a minute."""

    task: str
    options: Mapping[str, Any]
    files: tuple[str, ...] = ()
    space: Mapping[str, Any]


CASES = {
    "vision_transformer": Case(task="digits", options={}, space={"depth": (2, 3, 4)}),
    "convnet": Case(task="digits", options={}, space={}),
    "tdnn": Case(
        task="audio",
        options={"pattern": "{label}_{speaker}_{group}", "test_groups": [0, 1, 2, 3, 4]},
        files=("fsdd_recordings.tar.gz",),
        space={},
    ),
    "text_encoder": Case(
        task="labelled_text",
        options={"length": 64},
        files=("sst2_train.tsv", "sst2_dev.tsv", "sst2_test.tsv"),
        space={"depth": (2, 3), "width": (32, 48)},
    ),
    "causal_lm": Case(task="text", options={"length": 64}, space={"depth": (2, 3), "width": (32, 48, 64)}),
}


def main() -> None:
    """Do what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="all, if none is given")
    parser.add_argument("--architectures", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    unknown = set(arguments.families) - set(family_names())
    if unknown:
        parser.error(f"unknown family {min(unknown)}; known: {', '.join(family_names())}")
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    done = {(row["family"], row["index"], row["steps"]) for row in rows}
    for family in arguments.families or family_names():
        missing = [index for index in range(arguments.architectures) if (family, index, arguments.steps) not in done]
        if not missing:
            continue
        with tempfile.TemporaryDirectory(prefix="supernaut-") as scratch:
            task = prepared(CASES[family], Path(scratch))
            drawn = architectures(family, arguments.architectures)
            for index in missing:
                row = measure(family, index, drawn[index], task, arguments.steps)
                rows.append(row)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    report(rows)


def prepared(case: Case, scratch: Path) -> Task:
    """The task, on a copy of its files where there are several."""
    options = dict(case.options)
    if len(case.files) == 1:
        options["data"] = DATA / case.files[0]
    elif case.files:
        for name in case.files:
            shutil.copyfile(DATA / name, scratch / name)
        options["data"] = scratch
    return load_task(case.task, **options)


def architectures(family: str, count: int) -> list[Architecture]:
    """Random ones in full precision: formats say what is rounded."""
    space: SearchSpace = load_space(family, **CASES[family].space)
    if any(name.endswith(".bits") for name in space.choices):
        space = space.narrow({"*.bits": (32,)})
    rng = random.Random(SEED)
    return [space.sample_balanced(rng) for _ in range(count)]


def measure(family: str, index: int, architecture: Architecture, task: Task, steps: int) -> dict[str, Any]:
    """Train one network and write it in every format."""
    module = build_real(load_builder(family, task), architecture, SEED)
    health_never = steps + 1
    retrain(module, task, LoopConfig(steps=steps, batch=64, health_every=health_never, seed=SEED))
    module.eval()
    inputs, targets = task.test.read(slice(SCORED))
    expected = predict(module, inputs)
    row: dict[str, Any] = {
        "family": family,
        "index": index,
        "steps": steps,
        "task": task.name,
        "architecture": dict(architecture),
        "samples": len(inputs),
        "pytorch": task.measure(expected, targets)["accuracy"],
        "formats": {},
    }
    row["load"] = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="supernaut-") as scratch:
        for name in format_names():
            folder = Path(scratch) / name
            folder.mkdir()
            row["formats"][name] = written(name, module, task, folder, inputs.numpy(), expected.numpy(), targets)
        row["eager_over_onnx"] = paired(module, Path(scratch) / "onnx" / "model.onnx", inputs[:1])
    row["command"] = f"python -m benchmarks.formats {family} --steps {steps}"
    row["device"] = this_device().describe()
    row["versions"] = {name: version(name) for name in ("torch", "onnx", "onnxruntime", "onnxscript")}
    return row


def written(
    name: str, module: nn.Module, task: Task, folder: Path, inputs: Any, expected: Any, targets: torch.Tensor
) -> dict[str, Any]:
    """Size and quality of one format, or why it does not apply."""
    wanted = load_format(name)
    refusal = wanted.refusal(module, task)
    if refusal is not None:
        return {"refused": refusal}
    files = wanted.write(module, task, folder)
    count = DECODED if name == "onnx-decode" else len(inputs)
    run = wanted.open(folder)
    actual = np.concatenate([run(inputs[at : at + 1]) for at in range(count)])
    expected, targets = expected[:count], targets[:count]
    full = task.measure(torch.from_numpy(expected), targets)["accuracy"]
    accuracy = task.measure(torch.from_numpy(actual), targets)["accuracy"]
    found: dict[str, Any] = {
        "bytes": sum((folder / file).stat().st_size for file in files),
        "accuracy": accuracy,
        "points_lost": 100 * (full - accuracy),
        "largest_difference": float(np.abs(actual - expected).max()),
    }
    if wanted.exact:
        try:
            check_parity(expected, actual, name)
            found["parity"] = True
        except ParityError as error:
            found["parity"] = str(error)
    return found


def paired(module: nn.Module, path: Path, sample: torch.Tensor) -> dict[str, float]:
    """Eager PyTorch and ONNX Runtime in turns: the median of the ratios, and of the times."""
    session, values = Session(path), sample.numpy()

    def eager() -> object:
        with torch.inference_mode():
            return module(sample)

    def onnx() -> object:
        return session.run(values)

    for run in (eager, onnx) * 20:
        run()
    turns = [(_timed_ms(eager), _timed_ms(onnx)) for _ in range(TURNS)]
    return {
        "ratio": statistics.median(one / other for one, other in turns),
        "eager_ms": statistics.median(one for one, _ in turns),
        "onnx_ms": statistics.median(other for _, other in turns),
    }


def _timed_ms(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - started)


def report(rows: list[dict[str, Any]]) -> None:
    """What the lines say together."""
    if not rows:
        return
    for family in dict.fromkeys(row["family"] for row in rows):
        of_it = [row for row in rows if row["family"] == family]
        print(f"\n{family}: eager / onnx {', '.join(f'{one:.2f}' for one in ratios(of_it)) or 'not timed quietly'}")
        for name in format_names():
            found = [row["formats"][name] for row in of_it if name in row["formats"]]
            applied = [one for one in found if "refused" not in one]
            if not applied:
                print(f"  {name:16} does not apply")
                continue
            lost = [one["points_lost"] for one in applied]
            smaller = [
                row["formats"]["onnx"]["bytes"] for row in of_it if "refused" not in row["formats"].get(name, {})
            ]
            sizes = [one["bytes"] / size for one, size in zip(applied, smaller, strict=False)]
            wrong = [one["parity"] for one in applied if one.get("parity", True) is not True]
            print(
                f"  {name:16} points lost {min(lost):+.2f} to {max(lost):+.2f}, bytes / onnx "
                f"{statistics.median(sizes):.2f}, off by up to {max(one['largest_difference'] for one in applied):.1e}"
                + (f", {len(wrong)} of {len(applied)} without parity" if wrong else "")
                + (f", {sum(one > POINTS for one in lost)} lose more than a point" if max(lost) > POINTS else "")
            )
    every = ratios(rows)
    if every:
        print(f"\nall: eager / onnx, median of {len(every)}: {statistics.median(every):.2f}, least {every[0]:.2f}")


def ratios(rows: list[dict[str, Any]]) -> list[float]:
    """Eager PyTorch's time over that of ONNX Runtime, where the machine was quiet; the least first."""
    return sorted(row["eager_over_onnx"]["ratio"] for row in rows if row["load"] is not None and row["load"] <= QUIET)


if __name__ == "__main__":
    main()
