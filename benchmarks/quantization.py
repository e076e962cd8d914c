"""What stored bits change in ONNX Runtime: latency and size of one architecture, and whether training felt the same.

Usage: python -m benchmarks.quantization [--steps 700] [--architectures 20] [--output FILE]

Two questions, one run.  *Kernels*: the same architecture with all its layers in 32, 8 and 4 bits, timed alternately
with one reference model; latency and file size as ratios to 32 bits (median over repeats, and the spread).  *Gap*: a
supernet is trained on digits with bits free; random mixed architectures are scored with fake quantization and as
exported files, one image at a time, on the whole validation split; the gap in percentage points.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from predictors.latency.benchmark import LatencyBenchmark, LatencySettings
from predictors.latency.device import this_device
from predictors.latency.reference import write_reference
from search_spaces import Architecture, SearchSpace, load_space
from supernet import SharedWeights, load_task
from supernet.compression import compressed
from supernet.export.kernels import signed_int8_is_exact
from supernet.export.onnx import export_onnx
from supernet.export.runtime import Session
from supernet.models.registry import load_builder
from supernet.models.vision_transformer import VisionTransformerConfig, builder
from supernet.tasks.task import predict, score_logits
from supernet.training.loop import LoopConfig
from supernet.training.sampling import Sandwich
from supernet.training.supernet import train_supernet

if TYPE_CHECKING:
    from supernet.skeleton import Build

RESULTS = Path(__file__).parent / "results" / "quantization.json"
REPEATS = 7
SEED = 0
BITS = (32, 8, 4)


@dataclass(frozen=True)
class Subject:
    """An architecture whose layers are all stored in the same bits, and images to run it on."""

    name: str
    space: SearchSpace
    build: Build
    images: torch.Tensor

    def at(self, bits: int) -> Architecture:
        return self.space.fix({"layers.*.bits": bits}).largest()


def subjects() -> list[Subject]:
    """The largest network of the digits example, its smallest depth, and a transformer of ViT-Tiny's width."""
    digits = load_task("digits")
    build = load_builder("vision_transformer", digits)
    tiny = VisionTransformerConfig(image_size=32, channels=3, classes=10, head_width=64)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(SEED))
    every = {"bits": BITS, "mixer": "softmax", "mlp_ratio": 4}
    return [
        Subject(
            f"digits, {depth} layers, width 64, 16 tokens",
            load_space("vision_transformer", depth=depth, width=64, patch=2, heads=4, **every),
            build,
            digits.example(2),
        )
        for depth in (2, 6)
    ] + [
        Subject(
            "6 layers, width 192, 64 tokens",
            load_space("vision_transformer", depth=6, width=192, patch=4, heads=3, **every),
            compressed(builder(tiny)),
            images,
        )
    ]


def kernels(folder: Path) -> list[dict[str, Any]]:
    """Latency and size of each subject at each number of bits."""
    reference = folder / "reference.onnx"
    write_reference(reference)
    rows = []
    with LatencyBenchmark(reference, LatencySettings()) as benchmark:
        benchmark.calibrate()
        for subject in subjects():
            files = {}
            for bits in BITS:
                files[bits] = folder / f"{bits}.onnx"
                export_onnx(subject.build(subject.at(bits)).eval(), subject.images, files[bits])
            rounds = [{bits: benchmark.measure(path).p50_ms for bits, path in files.items()} for _ in range(REPEATS)]
            row: dict[str, Any] = {"architecture": subject.name}
            for bits in BITS:
                ratios = sorted(one[bits] / one[32] for one in rounds)
                row[f"{bits} bits"] = {
                    "latency_ms": statistics.median(one[bits] for one in rounds),
                    "latency_ratio": statistics.median(ratios),
                    "latency_ratio_range": [ratios[0], ratios[-1]],
                    "file_bytes": files[bits].stat().st_size,
                    "file_ratio": files[bits].stat().st_size / files[32].stat().st_size,
                }
            rows.append(row)
            print(json.dumps(row, indent=2), flush=True)
    return rows


def gap(folder: Path, steps: int, count: int) -> dict[str, Any]:
    """Accuracy with fake quantization against the exported file's, over random mixed architectures."""
    task = load_task("digits")
    space = load_space("vision_transformer", depth=(2, 3, 4, 6), bits=BITS)
    weights = SharedWeights(load_builder("vision_transformer", task), space, seed=SEED)
    config = LoopConfig(steps=steps, batch=128, learning_rate=4e-3, seed=SEED)
    train_supernet(weights, task, Sandwich(space), config)
    rng = random.Random(SEED)
    rows = []
    while len(rows) < count:
        architecture = space.sample_balanced(rng)
        bits = {value for name, value in architecture.items() if name.endswith("bits")}
        if len(bits) < 2:
            continue
        module = weights.extract(architecture).eval()
        path = folder / "candidate.onnx"
        export_onnx(module, task.example(2), path)
        exported = Session(path).run_each(task.validation.read(slice(None))[0].numpy())
        trained = predict(module, task.validation)
        rows.append(
            {
                "architecture": architecture.digest,
                "bits": sorted(bits),
                "fake_quantized": 100 * score_logits(trained, task.validation.targets)["accuracy"],
                "exported": 100 * score_logits(torch.from_numpy(exported), task.validation.targets)["accuracy"],
            }
        )
    gaps = [abs(row["fake_quantized"] - row["exported"]) for row in rows]
    return {
        "steps": steps,
        "validation_images": len(task.validation),
        "mean_absolute_gap_points": statistics.fmean(gaps),
        "largest_gap_points": max(gaps),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--architectures", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="supernaut-") as folder:
        report = {
            "command": f"python -m benchmarks.quantization --steps {arguments.steps} "
            f"--architectures {arguments.architectures}",
            "device": this_device().describe(),
            "signed_int8_is_exact": signed_int8_is_exact(),
            "versions": {name: version(name) for name in ("torch", "onnxruntime", "onnxscript")},
            "python": platform.python_version(),
            "repeats": REPEATS,
            "seed": SEED,
            "kernels": kernels(Path(folder)),
            "gap": gap(Path(folder), arguments.steps, arguments.architectures),
        }
    print(json.dumps({k: v for k, v in report["gap"].items() if k != "rows"}, indent=2))
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
