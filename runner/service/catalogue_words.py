"""What a study may name beside tasks and spaces, in words for those who choose.  Owns the words, not the names."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHMS: Mapping[str, str] = {
    "surrogate": "Learns from every evaluation and proposes what promises the largest gain; best for few evaluations.",
    "nsga2": "An evolutionary search: crosses and mutates the best found so far; suits many evaluations.",
    "random": "Draws architectures at random; the yardstick for the others.",
}
FORMATS: Mapping[str, str] = {
    "onnx": "ONNX in the precision that each layer asks for; always written, and what the others are compared with.",
    "onnx-int8": "ONNX with the weights of all linear maps in 8 bits.",
    "onnx-int4": "ONNX with the weights of all linear maps in 4 bits.",
    "onnx-int8-static": "ONNX with weights and activations in 8 bits, their ranges measured on training samples.",
    "onnx-fp16": "ONNX that stores and computes in float16.",
    "onnx-decode": "ONNX of one step of a language model with its memory, for generating token by token.",
    "torch-export": "A graph that torch.export.load reads, without the code of the model.",
    "source": "Plain PyTorch source with the weights beside it, to read and to change.",
}
RECIPES: Mapping[str, str] = {
    "sandwich": "Each step trains the largest, the smallest and some random subnets; the smaller ones learn from the "
    "largest.",
    "multi": "Each step divides its batch among some random subnets, and costs what one of them costs.",
    "all": "Each step trains every architecture; for spaces of a few.",
}
EXAMPLES: Mapping[str, str] = {
    "digits": "Handwritten digits, a small vision transformer: error against latency and size. Minutes on two cores.",
}


def example(name: str) -> str:
    """The text of a study file that Supernaut brings."""
    return files("runner").joinpath("examples", f"{name}.yaml").read_text(encoding="utf-8")
