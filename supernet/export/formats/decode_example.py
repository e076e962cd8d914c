"""Greedy decoding with the decode.onnx beside this file.  Needs numpy and onnxruntime only.

    python decode.py --tokens 40 "To be"           where the tokens of the model are bytes of text
    python decode.py --tokens 10 --ids 3 1 4       where they are anything else

decode.onnx is one step: for each sequence it reads a token, the number of tokens before it, and what the layers
remember; it gives the logits of what follows, and what they remember now.  That begins as zeros, and its shapes are
those of the inputs of the file: so many tokens are remembered, then the oldest are forgotten.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

FILE = Path(__file__).with_name("decode.onnx")


class Decoder:
    """One or more sequences, read token by token side by side."""

    def __init__(self, file: Path = FILE, *, batch: int = 1, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.names = [one.name for one in self.session.get_inputs()]
        self.read = 0  # tokens
        self.states = [np.zeros((batch, *one.shape[1:]), dtype=np.float32) for one in self.session.get_inputs()[2:]]

    def next(self, tokens: Any) -> Any:
        """Read one token of each sequence, int64 of shape (batch,).  Returns logits of shape (batch, classes)."""
        position = np.full(len(tokens), self.read, dtype=np.int64)
        feeds = dict(zip(self.names, (tokens, position, *self.states), strict=True))
        logits, *self.states = self.session.run(None, feeds)
        self.read += 1
        return logits


def greedy(prompt: list[int], count: int) -> list[int]:
    """The `count` tokens that are likeliest, each after those before it."""
    decoder = Decoder()
    made: list[int] = []
    for token in prompt:
        logits = decoder.next(np.array([token], dtype=np.int64))
    while len(made) < count:
        made.append(int(logits[0].argmax()))
        logits = decoder.next(np.array(made[-1:], dtype=np.int64))
    return made


def main() -> None:
    """Print what follows a prompt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", help="the prompt, for a model of bytes")
    parser.add_argument("--ids", nargs="+", type=int, help="the prompt as identifiers of tokens")
    parser.add_argument("--tokens", type=int, default=20, help="how many to add (default 20)")
    given = parser.parse_args()
    if bool(given.text) == bool(given.ids) or given.tokens < 1:
        parser.error("give either a text or --ids, and --tokens of 1 or more.")
    prompt = given.ids or list(given.text.encode())
    made = greedy(prompt, given.tokens)
    if given.ids:
        print(*prompt, *made)
    else:
        print(bytes([*prompt, *made]).decode(errors="replace"))


if __name__ == "__main__":
    main()
