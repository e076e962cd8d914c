"""Predict with the model in this folder.  Needs NumPy and ONNX Runtime, nothing else.

    python predict.py sample              run the samples of this folder and compare with what PyTorch computed
    python predict.py inputs.npy          print the class of each input
    python predict.py inputs.npy --format onnx-int8      with another of the files that are listed in config.json

Inputs are *prepared*: numbers as the network reads them, not pictures, sounds or texts as they lie on a disk.
config.json says their type and shape, and sample_inputs.npy holds real ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
TYPES: dict[str, np.dtype[Any]] = {"tensor(float)": np.dtype(np.float32), "tensor(int64)": np.dtype(np.int64)}


class Refused(Exception):
    """What was given cannot be predicted; the message says why and what to do."""


class Model:
    """One file of the bundle, opened on the CPU."""

    def __init__(self, config: dict[str, Any], name: str, threads: int) -> None:
        models = config["models"]
        if name not in models:
            raise Refused(f"--format {name}: this folder has {', '.join(models)}.")
        self.entry = models[name]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        path = str(HERE / self.entry["file"])
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.vocabulary = config["inputs"]["vocabulary"]

    def check(self, inputs: np.ndarray) -> np.ndarray:
        """The inputs with a batch axis.  Raises `Refused` where the model cannot read them."""
        wanted = self.input.shape[1:]  # numbers, and names where any size will do
        written = ", ".join(["samples", *map(str, wanted)])
        if fits(inputs.shape, wanted):
            inputs = inputs[None]
        if inputs.ndim == 0 or not fits(inputs.shape[1:], wanted):
            raise Refused(f"the inputs have shape {inputs.shape}; this model reads ({written}).")
        if len(inputs) == 0:
            raise Refused("the inputs hold no sample.")
        kind = TYPES[self.input.type]
        if inputs.dtype != kind:
            raise Refused(
                f"the inputs are {inputs.dtype}; this model reads {kind}. If they are prepared as config.json says, "
                f"convert them with inputs.astype(numpy.{kind})."
            )
        if kind.kind == "f" and not np.isfinite(inputs).all():
            raise Refused("the inputs hold NaN or infinite numbers.")
        if self.vocabulary is not None and (inputs.min() < 0 or inputs.max() >= self.vocabulary):
            raise Refused(
                f"the inputs hold identifiers from {inputs.min()} to {inputs.max()}; this model knows 0 to "
                f"{self.vocabulary - 1}."
            )
        return inputs

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """One sample at a time, as all scores were measured: files that round their inputs depend on the batch."""
        try:
            rows = [self.session.run(None, {self.input.name: inputs[i : i + 1]})[0] for i in range(len(inputs))]
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            raise Refused(f"ONNX Runtime cannot compute these inputs of shape {inputs.shape}: {error}") from error
        return np.concatenate(rows)


def fits(shape: tuple[int, ...], wanted: list[int | str]) -> bool:
    """Whether a shape has the sizes that are numbers in `wanted`."""
    return len(shape) == len(wanted) and all(
        isinstance(size, str) or given == size for given, size in zip(shape, wanted, strict=True)
    )


def read(path: Path) -> np.ndarray:
    """An array from a file.  Raises `Refused`."""
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise Refused(f"there is no file {path}.") from None
    except (OSError, ValueError, EOFError) as error:
        raise Refused(f"{path} is no array that numpy.save wrote: {error}") from None
    if not isinstance(found, np.ndarray):
        raise Refused(f"{path} holds several arrays; save one with numpy.save.")
    return found


def read_config() -> dict[str, Any]:
    """What the bundle says of its models and their inputs.  Raises `Refused`."""
    try:
        found: dict[str, Any] = json.loads((HERE / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"config.json cannot be read ({error}); keep the files of a bundle together.") from None
    return found


def show(logits: np.ndarray, names: list[str]) -> None:
    """A line a sample: its class with the probability, or the classes of all its positions."""
    for row, values in enumerate(logits):
        best = values.argmax(-1)
        if values.ndim == 1:
            odds = np.exp(values - values.max())
            print(f"{row}: {named(best, names)} ({odds[best] / odds.sum():.3f})")
        else:
            print(f"{row}: {' '.join(named(one, names) for one in best)}")


def named(number: int, names: list[str]) -> str:
    """The data's word for a class, else its number."""
    return names[number] if names else str(number)


def compare(expected: np.ndarray, actual: np.ndarray, tolerance: dict[str, float]) -> str:
    """A sentence.  Raises `Refused` where the model does not compute what is expected."""
    if expected.shape != actual.shape or not np.isfinite(actual).all():
        raise Refused(f"the outputs have shape {actual.shape}, or are not finite; {expected.shape} is expected.")
    allowed = np.maximum(
        tolerance["absolute"] + tolerance["relative"] * np.abs(expected), tolerance["of_spread"] * expected.std()
    )
    difference = np.abs(expected - actual)
    two = np.partition(expected, -2, axis=-1)[..., -2:]
    clear = two[..., 1] - two[..., 0] > allowed.max(axis=-1)  # not a near tie
    changed = int((clear & (expected.argmax(-1) != actual.argmax(-1))).sum())
    if (difference > allowed).any() or changed:
        raise Refused(
            f"the model does not compute the stored outputs: they differ by up to {difference.max():.2e} (allowed: "
            f"{allowed.max():.2e}), and {changed} decisions are others."
        )
    return f"{len(expected)} samples as stored: largest difference {difference.max():.1e}, no decision changed"


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("inputs", help="'sample', or a .npy file of prepared inputs")
    parser.add_argument("--format", default="onnx", help="which of the models in this folder (default: onnx)")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime (default: 1)")
    given = parser.parse_args()
    try:
        config = read_config()
        model = Model(config, given.format, given.threads)
        if given.inputs == "sample":
            logits = model.logits(model.check(read(HERE / "sample_inputs.npy")))
            show(logits, config["class_names"])
            print(compare(read(HERE / model.entry["sample_outputs"]), logits, model.entry["tolerance"]))
        else:
            show(model.logits(model.check(read(Path(given.inputs)))), config["class_names"])
    except Refused as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
