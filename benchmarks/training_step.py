"""What a training step through a borrowed subnet costs, as a ratio to the plain module's.

    python -m benchmarks.training_step [--repeats 15] [--case tiny_batch_2 ...] [--output FILE]

Three steps are compared: "gradients" (zero_grad, forward, backward), "training" (the same and fused AdamW, over all
shared tensors on the borrowed side) and "anew".  In the first two the borrowed side is also lent its module, as in
training, where the largest and the smallest architecture come again in every step; "anew" is "gradients" with a module
that is made anew in every step.  What making it takes by itself, and where the architecture was never seen before, is
told beside it.  The plain module has the same shape and tensors of its own.  One thread; process CPU time, because
other work may share the machine.  Each side has a process of its own, settled as those of a study are: in one process,
what one side frees and keeps decided how often the other one had to ask the kernel for memory.  They run in turn, in
changing order, and each ratio is of neighbours.  The promises are about the medians of "gradients".
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from runner.process import settle
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
KINDS = ("gradients", "training", "anew")


def step(
    lent: Callable[[], AbstractContextManager[torch.nn.Module]], optimizer: torch.optim.Optimizer, kind: str, batch: int
) -> Callable[[], None]:
    """One step on fixed inputs; the module is asked for inside the step."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn(batch, CONFIG.channels, CONFIG.image_size, CONFIG.image_size, generator=generator)
    targets = torch.randint(CONFIG.classes, (batch,), generator=generator)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with lent() as module:
            loss(module(images), targets).backward()
        if kind == "training":
            optimizer.step()

    return run


@dataclass(frozen=True)
class Cost:
    """What one step took of its process: CPU time, and pages that the kernel had to hand out."""

    cpu_ms: float
    page_faults: int


def cost(run: Callable[[], object]) -> Cost:
    """Run once and tell."""
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    start = time.process_time()
    run()
    cpu_ms = (time.process_time() - start) * 1e3
    return Cost(cpu_ms, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)


def work(side: str, case: str, name: str, orders: Connection) -> None:
    """The life of one side's process: a step of the kind that is asked for, and what it took, until nothing is asked.

    "borrow" and "meet" are no steps: a module is made of the same architecture, or of one that was never seen.
    """
    settle()
    torch.set_num_threads(1)
    space, batch = CASES[case].space(), CASES[case].batch
    weights = SharedWeights(builder(CONFIG), space, seed=SEED)
    architecture = CASES[case].architectures(space)[name]
    held: torch.nn.Module = weights
    if side == "plain":
        held = alone = weights.extract(architecture)
        del weights  # a plain training has no shared tensors beside it
        lent = anew = partial(nullcontext, alone)
    else:
        lent = partial(weights.lent, architecture)
        anew = partial(_made_anew, weights, architecture)
    optimizer = torch.optim.AdamW(held.parameters(), fused=True)
    runs: dict[str, Callable[[], object]] = {
        kind: step(anew if kind == "anew" else lent, optimizer, kind, batch) for kind in KINDS
    }
    if side == "borrowed":
        rng = random.Random(SEED)
        runs |= {"borrow": lambda: weights.borrow(architecture), "meet": lambda: weights.borrow(space.sample(rng))}
    while (asked := orders.recv()) is not None:
        orders.send(cost(runs[asked]))


@contextmanager
def _made_anew(weights: SharedWeights, architecture: Architecture) -> Iterator[torch.nn.Module]:
    yield weights.borrow(architecture)


def compare(case: str, name: str, *, repeats: int) -> dict[str, Any]:
    """Paired costs of both sides for each kind of step, and the time of borrowing alone."""
    context = multiprocessing.get_context("spawn")
    sides: dict[str, Connection] = {}
    processes = []
    for side in ("plain", "borrowed"):
        sides[side], theirs = context.Pipe()
        processes.append(context.Process(target=work, args=(side, case, name, theirs), daemon=True))
        processes[-1].start()

    def ask(side: str, kind: str) -> Cost:
        sides[side].send(kind)
        told = sides[side].recv()
        assert isinstance(told, Cost)
        return told

    report: dict[str, Any] = {}
    for kind in KINDS:
        for side in [*sides] * WARM_UP:
            ask(side, kind)
        costs: dict[str, list[Cost]] = {side: [] for side in sides}
        for repeat in range(repeats):
            for side in [*sides] if repeat % 2 else [*reversed(sides)]:
                costs[side].append(ask(side, kind))
        report[kind] = _ratios(costs["plain"], costs["borrowed"])
    for kind in ("borrow", "meet"):
        report[f"{kind}_ms_median"] = statistics.median(ask("borrowed", kind).cpu_ms for _ in range(repeats))
    for orders, process in zip(sides.values(), processes, strict=True):
        orders.send(None)
        process.join()
    return report


def _ratios(plain: list[Cost], borrowed: list[Cost]) -> dict[str, Any]:
    ratios = [b.cpu_ms / p.cpu_ms for p, b in zip(plain, borrowed, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio_median": statistics.median(ratios),
        "ratio_quartiles": [low, high],
        "plain_ms_median": statistics.median(cost.cpu_ms for cost in plain),
        "borrowed_ms_median": statistics.median(cost.cpu_ms for cost in borrowed),
        "plain_page_faults_median": statistics.median(cost.page_faults for cost in plain),
        "borrowed_page_faults_median": statistics.median(cost.page_faults for cost in borrowed),
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


def measure(name: str, repeats: int) -> dict[str, Any]:
    """All subnets of one case."""
    case = CASES[name]
    space = case.space()
    weights = SharedWeights(builder(CONFIG), space, seed=SEED)
    report: dict[str, Any] = {
        "batch": case.batch,
        "repeats": repeats,
        "promise": case.promise,
        "parameters_shared": sum(parameter.numel() for parameter in weights.parameters()),
        "results": {},
    }
    for subnet, architecture in case.architectures(space).items():
        result = report["results"][subnet] = {
            "architecture": architecture.digest,
            "parameters": sum(math.prod(shape) for shape in weights.shapes(architecture).values()),
            **compare(name, subnet, repeats=repeats),
        }
        said = []
        for kind in KINDS:
            low, high = result[kind]["ratio_quartiles"]
            said.append(
                f"{kind} {result[kind]['ratio_median']:.3f} (quartiles {low:.3f} to {high:.3f}) of "
                f"{result[kind]['plain_ms_median']:.0f} ms, {result[kind]['plain_page_faults_median']:.0f} and "
                f"{result[kind]['borrowed_page_faults_median']:.0f} page faults"
            )
        print(
            f"  {subnet}: {'; '.join(said)}; borrowing {result['borrow_ms_median']:.1f} ms, "
            f"for the first time {result['meet_ms_median']:.1f} ms",
            flush=True,
        )
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "training_step.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(machine(), indent=2))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.case:
        print(f"{name}: promised at most {CASES[name].promise} at batch {CASES[name].batch}", flush=True)
        found = {
            "command": f"python -m benchmarks.training_step --repeats {arguments.repeats} --case {name}",
            "machine": machine(),
            "threads": 1,
            "clock": "process CPU time",
            "seed": SEED,
            **measure(name, arguments.repeats),
        }
        known = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        arguments.output.write_text(json.dumps({**known, name: found}, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
