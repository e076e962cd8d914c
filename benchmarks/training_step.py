"""What a training step through a borrowed subnet costs, as a ratio to the plain module's.

    python benchmarks/training_step.py [--repeats 15] [--case tiny_batch_2 ...] [--output FILE]

Two steps are compared: "gradients" (zero_grad, forward, backward) and "training" (the same and fused AdamW, over all
shared tensors on the borrowed side).  The borrowed side also borrows; the plain module has the same shape and tensors
of its own.  One thread; process CPU time, because other work may share the machine; all four run alternately in one
process, in changing order, and each ratio is of neighbours.  The promises are about the medians of "gradients".
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from search_spaces import Architecture, Ordinal, SearchSpace, load_space
from supernet import SharedWeights
from supernet.models.vision_transformer import VisionTransformerConfig, builder
from supernet.tasks.task import loss

CONFIG = VisionTransformerConfig(image_size=32, channels=3, classes=100, head_width=64)  # 64 tokens of patch 4, 1 class
SEED = 0
WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """Which subnets of which store, on how many images, and what the median ratio may be."""

    space: Callable[[], SearchSpace]
    architectures: Callable[[SearchSpace], Mapping[str, Architecture]]
    batch: int
    promise: float


def _space(*, mlp_ratio: tuple[float, ...], **options: tuple[int, ...]) -> SearchSpace:
    """Softmax attention with a class token; the library's space offers whole ratios only."""
    made = load_space(
        "vision_transformer",
        patch=(4,),
        mixer=("softmax",),
        pooling=("token",),
        bits=(32,),
        mlp_ratio=(1, 2),
        **options,
    )
    choices = {name: Ordinal(*mlp_ratio) if "mlp_ratio" in name else choice for name, choice in made.choices.items()}
    return SearchSpace(choices, conditions=made.conditions, constraints=made.constraints)


def tiny() -> SearchSpace:
    """The sizes of AutoFormer-Tiny (Chen et al. 2021, table 1), in a store 256 wide."""
    return _space(depth=(12, 13, 14), width=(192, 216, 240, 256), heads=(3, 4), mlp_ratio=(3.5, 4.0))


def tiny_subnets(space: SearchSpace) -> Mapping[str, Architecture]:
    """Three random ones, none of them as wide as the store."""
    rng, narrower = random.Random(SEED), space.narrow({"width": (192, 216, 240)})
    return {f"random {number}": narrower.sample(rng) for number in range(3)}


def wide() -> SearchSpace:
    """A store of the sizes of ViT-B (Dosovitskiy et al. 2021, table 1), and half of its width."""
    return _space(depth=(11, 12), width=(384, 768), heads=(6, 12), mlp_ratio=(2.0, 4.0))


def wide_subnet(space: SearchSpace) -> Mapping[str, Architecture]:
    """As deep as the store and half as wide: a quarter of each matrix."""
    heads = {name: (6,) for name in space.choices if name.endswith("heads")}
    ratios = {name: (4.0,) for name in space.choices if name.endswith("mlp_ratio")}
    return {"384 of 768": space.narrow({"depth": (12,), "width": (384,), **heads, **ratios}).largest()}


CASES = {
    "tiny_batch_32": Case(space=tiny, architectures=tiny_subnets, batch=32, promise=1.05),
    "tiny_batch_2": Case(space=tiny, architectures=tiny_subnets, batch=2, promise=1.3),
    "wide_batch_1": Case(space=wide, architectures=wide_subnet, batch=1, promise=1.1),
}
KINDS = ("gradients", "training")


def step(
    module: Callable[[], torch.nn.Module], optimizer: torch.optim.Optimizer, kind: str, batch: int
) -> Callable[[], None]:
    """One step on fixed inputs; `module` is asked for inside the step."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn(batch, CONFIG.channels, CONFIG.image_size, CONFIG.image_size, generator=generator)
    targets = torch.randint(CONFIG.classes, (batch,), generator=generator)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(module()(images), targets).backward()
        if kind == "training":
            optimizer.step()

    return run


def cpu_ms(run: Callable[[], object]) -> float:
    """Process CPU time of one call."""
    start = time.process_time()
    run()
    return (time.process_time() - start) * 1e3


def compare(weights: SharedWeights, architecture: Architecture, *, batch: int, repeats: int) -> dict[str, Any]:
    """Paired times of both sides for both kinds of step, and the time of borrowing alone."""
    alone = weights.extract(architecture)
    sides = {
        "plain": (lambda: alone, torch.optim.AdamW(alone.parameters(), fused=True)),
        "borrowed": (lambda: weights.borrow(architecture), torch.optim.AdamW(weights.parameters(), fused=True)),
    }
    runs = {
        (kind, side): step(module, optimizer, kind, batch)
        for kind in KINDS
        for side, (module, optimizer) in sides.items()
    }
    for run in [*runs.values()] * WARM_UP:
        run()
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for repeat in range(repeats):
        order = [*runs] if repeat % 2 else [*reversed(runs)]
        for key in order:
            times[key].append(cpu_ms(runs[key]))
    borrowing = [cpu_ms(lambda: weights.borrow(architecture)) for _ in range(repeats)]
    return {
        "architecture": architecture.digest,
        "parameters": sum(parameter.numel() for parameter in alone.parameters()),
        **{kind: _ratios(times[kind, "plain"], times[kind, "borrowed"]) for kind in KINDS},
        "borrow_ms_median": statistics.median(borrowing),
    }


def _ratios(plain: list[float], borrowed: list[float]) -> dict[str, Any]:
    ratios = [b / p for p, b in zip(plain, borrowed, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio_median": statistics.median(ratios),
        "ratio_quartiles": [low, high],
        "plain_ms_median": statistics.median(plain),
        "borrowed_ms_median": statistics.median(borrowed),
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


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """All subnets of one case."""
    space = case.space()
    weights = SharedWeights(builder(CONFIG), space, seed=SEED)
    report: dict[str, Any] = {
        "batch": case.batch,
        "repeats": repeats,
        "promise": case.promise,
        "parameters_shared": sum(parameter.numel() for parameter in weights.parameters()),
        "results": {},
    }
    for name, architecture in case.architectures(space).items():
        result = compare(weights, architecture, batch=case.batch, repeats=repeats)
        report["results"][name] = result
        said = []
        for kind in KINDS:
            low, high = result[kind]["ratio_quartiles"]
            said.append(
                f"{kind} {result[kind]['ratio_median']:.3f} (quartiles {low:.3f} to {high:.3f}) of "
                f"{result[kind]['plain_ms_median']:.0f} ms"
            )
        print(f"  {name}: {', '.join(said)}, borrowing {result['borrow_ms_median']:.1f} ms", flush=True)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "training_step.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "command": f"python benchmarks/training_step.py --repeats {arguments.repeats}",
        "machine": machine(),
        "threads": 1,
        "clock": "process CPU time",
        "seed": SEED,
        "cases": {},
    }
    print(json.dumps(report["machine"], indent=2))
    for name in arguments.case:
        case = CASES[name]
        print(f"{name}: promised at most {case.promise} at batch {case.batch}", flush=True)
        report["cases"][name] = measure(case, arguments.repeats)
        gc.collect()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
