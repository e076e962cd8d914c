"""A tagger of Python's source code with bidirectional LSTMs, searched: its embedding, its depth, each layer's width.
Also the task that it learns: what each character belongs to.

PyTorch's LSTM stacks its four gates in one tensor, and the outputs of both directions stand side by side: layouts say
so.  docs/own_models.md explains it and lists the commands.
"""

from __future__ import annotations

import io
import keyword
import sysconfig
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from search_spaces import Ordinal, SearchSpace, layered
from supernet import Packed, PackedAxes
from supernet.errors import DataError
from supernet.models.extension import own_model
from supernet.tasks.example import Example
from supernet.tasks.task import Split, Task

if TYPE_CHECKING:
    from search_spaces import Architecture

# The task: what is learnt

TAGS = ("other", "keyword", "name", "number", "string", "comment")
ASCII = 128
_STRINGS = ("STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")  # all but the first from Python 3.12 on
_TAG_OF = {
    tokenize.NAME: "name",
    tokenize.NUMBER: "number",
    tokenize.COMMENT: "comment",
    **{getattr(tokenize, name): "string" for name in _STRINGS if hasattr(tokenize, name)},
}


def load(length: int = 64, max_bytes: int = 200_000) -> Task:
    """The tag of each character of Python's own library; whole files are held out for validation and test."""
    texts, read = [], 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        source = path.read_bytes()
        if source.isascii() and read + len(source) <= max_bytes:
            texts.append(source.decode("ascii"))
            read += len(source)
    if len(texts) < 10:
        raise DataError(f"{len(texts)} files are too few to hold some out; raise max_bytes, which is {max_bytes}.")
    held_out = {"validation": texts[::10], "test": texts[1::10]}
    train = [text for index, text in enumerate(texts) if index % 10 > 1]
    splits = {name: windows(chosen, length) for name, chosen in {"train": train, **held_out}.items()}
    return Task(
        name="python_tags",
        **splits,
        classes=len(TAGS),
        class_names=TAGS,
        kind="tokens",
        vocabulary=ASCII,
        per_position=True,
    )


def windows(texts: list[str], length: int) -> Split:
    """All texts cut into windows that do not overlap; what is left at the end of a text is dropped."""
    cut = [(start, text) for text in texts for start in range(0, len(text) - length + 1, length)]
    tags = {text: tags_of(text) for text in texts}
    inputs = [torch.frombuffer(bytearray(text[i : i + length], "ascii"), dtype=torch.uint8).long() for i, text in cut]
    targets = [torch.tensor(tags[text][i : i + length]) for i, text in cut]
    return Split(torch.stack(inputs), torch.stack(targets))


def tags_of(source: str) -> list[int]:
    """The tag of each character, as Python itself reads the file; white space and signs are "other"."""
    starts = [0]
    for line in io.StringIO(source):
        starts.append(starts[-1] + len(line))
    found = [0] * len(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        tag = "keyword" if keyword.iskeyword(token.string) else _TAG_OF.get(token.type, "other")
        first, last = (starts[row - 1] + column for row, column in (token.start, token.end))
        found[first:last] = [TAGS.index(tag)] * (last - first)
    return found


# The space: what may vary

DEPTHS, EMBEDDINGS, HIDDENS = (1, 2), (8, 16), (8, 12, 16)
LAYERS = layered({"hidden": Ordinal(*HIDDENS)}, layers=max(DEPTHS))
SPACE = SearchSpace(
    {"embedding": Ordinal(*EMBEDDINGS), "depth": Ordinal(*DEPTHS), **LAYERS.choices}, conditions=LAYERS.conditions
)

# Where a smaller tensor lies in a larger one, where that is not the leading slice

GATES, DIRECTIONS = Packed(4), Packed(2, axis=1)
LAYOUTS = {
    "layers.0.weight_ih_*": GATES,  # the first pattern that matches counts
    "layers.*.weight_ih_*": PackedAxes((GATES, DIRECTIONS)),
    "layers.*.weight_hh_*": GATES,
    "layers.*.bias_*": GATES,
    "head.weight": DIRECTIONS,
}

# The model: what an architecture of that space is


class Tagger(nn.Module):
    """ids (batch, length) -> logits (batch, length, classes)."""

    def __init__(self, architecture: Architecture, task: Task) -> None:
        super().__init__()
        width = architecture["embedding"]
        self.embedding = nn.Embedding(task.vocabulary, width)
        self.layers = nn.ModuleList()
        for index in range(architecture["depth"]):
            hidden = architecture[f"layers.{index}.hidden"]
            self.layers.append(nn.LSTM(width, hidden, batch_first=True, bidirectional=True))
            width = 2 * hidden
        self.head = nn.Linear(width, task.classes)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x)


FAMILY = own_model(
    "lstm",
    space=SPACE,
    build=Tagger,
    layouts=LAYOUTS,
    example=Example(kind="tokens", shape=(64,), classes=len(TAGS), vocabulary=ASCII, per_position=True),
    summary="Bidirectional LSTMs: embedding and depth; width by layer",
)
