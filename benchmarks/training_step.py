"""What a training step through a borrowed subnet costs, as a ratio to the plain module's.

    python benchmarks/training_step.py [--repeats 15] [--batch 32] [--output benchmarks/results/training_step.json]

Both sides do a whole step: forward, backward, fused AdamW, zero_grad; the borrowed side also borrows.  One thread;
process CPU time, because other work may share the machine; the two sides run alternately, in changing order, and
each ratio is of neighbours.  The promise is a median of at most 1.10 at batch 32 and width 256.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from search_spaces import Architecture, SearchSpace, load_space
from supernet import SharedWeights
from supernet.models.vision_transformer import VisionTransformerConfig, builder
from supernet.tasks.task import loss

CONFIG = VisionTransformerConfig(image_size=32, channels=3, classes=100, head_width=64)  # 64 tokens, patch 4
DEPTH, WIDTH = 12, 256
SEED = 0
WARM_UP = 2
PROMISE = 1.10


def space() -> SearchSpace:
    """Softmax attention up to depth 12, width 256 and 4 heads: the sizes of AutoFormer-Tiny (Chen et al. 2021)."""
    return load_space(
        "vision_transformer",
        depth=(10, 11, DEPTH),
        width=(192, 224, WIDTH),
        patch=(4,),
        mixer=("softmax",),
        heads=(3, 4),
        mlp_ratio=(3, 4),
        bits=(32,),
    )


def architectures() -> dict[str, Architecture]:
    """The largest (whole tensors), the smallest (every tensor sliced) and one between."""
    everything = space()
    return {
        "largest": everything.largest(),
        "random": everything.sample(random.Random(SEED)),
        "smallest": everything.smallest(),
    }


def step(module: Callable[[], torch.nn.Module], optimizer: torch.optim.Optimizer, batch: int) -> Callable[[], None]:
    """One training step on fixed inputs; `module` is asked for inside the step."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn(batch, CONFIG.channels, CONFIG.image_size, CONFIG.image_size, generator=generator)
    targets = torch.randint(CONFIG.classes, (batch,), generator=generator)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(module()(images), targets).backward()
        optimizer.step()

    return run


def cpu_ms(run: Callable[[], None]) -> float:
    """Process CPU time of one call."""
    start = time.process_time()
    run()
    return (time.process_time() - start) * 1e3


def compare(weights: SharedWeights, architecture: Architecture, *, batch: int, repeats: int) -> dict[str, Any]:
    """Paired times of both sides, and the time of borrowing alone."""
    alone = weights.extract(architecture)
    plain = step(lambda: alone, torch.optim.AdamW(alone.parameters(), fused=True), batch)
    shared_optimizer = torch.optim.AdamW(weights.parameters(), fused=True)
    borrowed = step(lambda: weights.borrow(architecture), shared_optimizer, batch)
    for _ in range(WARM_UP):
        plain()
        borrowed()
    times: dict[str, list[float]] = {"plain": [], "borrowed": []}
    for repeat in range(repeats):
        pair = [("plain", plain), ("borrowed", borrowed)]
        for name, run in pair if repeat % 2 else reversed(pair):
            times[name].append(cpu_ms(run))
    ratios = sorted(b / p for p, b in zip(times["plain"], times["borrowed"], strict=True))
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "architecture": architecture.digest,
        "ratio_median": statistics.median(ratios),
        "ratio_quartiles": [quartiles[0], quartiles[2]],
        "plain_ms_median": statistics.median(times["plain"]),
        "borrowed_ms_median": statistics.median(times["borrowed"]),
        "borrow_ms_median": statistics.median(cpu_ms(lambda: weights.borrow(architecture)) for _ in range(repeats)),
    }


def machine() -> dict[str, Any]:
    """Where this ran."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0].split(":")[1].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "training_step.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    weights = SharedWeights(builder(CONFIG), space(), seed=SEED)
    report = {
        "command": f"python benchmarks/training_step.py --repeats {arguments.repeats} --batch {arguments.batch}",
        "machine": machine(),
        "batch": arguments.batch,
        "repeats": arguments.repeats,
        "threads": 1,
        "clock": "process CPU time",
        "seed": SEED,
        "promise": PROMISE,
        "parameters_shared": sum(parameter.numel() for parameter in weights.parameters()),
        "results": {},
    }
    print(json.dumps({key: value for key, value in report.items() if key != "results"}, indent=2))
    for name, architecture in architectures().items():
        result = compare(weights, architecture, batch=arguments.batch, repeats=arguments.repeats)
        report["results"][name] = result
        low, high = result["ratio_quartiles"]
        print(
            f"{name:8}  ratio {result['ratio_median']:.3f} (quartiles {low:.3f} to {high:.3f})  "
            f"plain {result['plain_ms_median']:.0f} ms  borrowed {result['borrowed_ms_median']:.0f} ms  "
            f"of which borrowing {result['borrow_ms_median']:.1f} ms",
            flush=True,
        )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
