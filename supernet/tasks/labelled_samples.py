"""Decoded samples with what their paths say, put into splits, ready to be kept and to be served.

Owns how splits lie in the kept arrays: one after the other, so that each is a slice of the mapped file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from supernet.tasks.cache import Decoded
from supernet.tasks.content_splits import Sample, choose, split_rows
from supernet.tasks.file_labels import SPLITS, class_order
from supernet.tasks.task import Split, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor


def _as_kept(inputs: Tensor) -> Tensor:
    return inputs


@dataclass
class Samples:
    """Arrays of one shape and type, and what decides where each goes."""

    arrays: list[NDArray[Any]] = field(default_factory=list)
    decisive: list[Sample] = field(default_factory=list)


def arrange(samples: Samples) -> Decoded:
    """The samples in the order of their splits, with targets; takes the arrays out of `samples`, to hold them once."""
    rows = split_rows(samples.decisive)
    classes = class_order({samples.decisive[row].label for chosen in rows.values() for row in chosen})
    target_of = {name: i for i, name in enumerate(classes)}
    order = [row for split in SPLITS for row in rows[split]]
    first = samples.arrays[0]
    inputs = np.empty((len(order), *first.shape), first.dtype)
    for position, row in enumerate(order):
        inputs[position] = samples.arrays[row]
        samples.arrays[row] = first[:0]  # its memory may go
    targets = np.array([target_of[samples.decisive[row].label] for row in order], dtype=np.int64)
    metadata = {
        "classes": classes,
        "counts": {split: len(rows[split]) for split in SPLITS},
        "copies_left_out": len(samples.decisive) - len(order),
    }
    return Decoded({"inputs": inputs, "targets": targets}, metadata)


def serve(
    name: str, decoded: Decoded, most: Mapping[str, int | None], prepare: Callable[[Tensor], Tensor] = _as_kept
) -> Task:
    """The task of what `arrange` made, with at most as many samples as `most` says, in the shares of the classes."""
    splits = {}
    start = 0
    for split in SPLITS:
        part = slice(start, start + decoded.metadata["counts"][split])
        inputs, targets = decoded.arrays["inputs"][part], decoded.arrays["targets"][part]
        limit = most[split]
        if limit is not None and limit < len(targets):
            rows = choose(targets, limit)
            inputs, targets = inputs[rows], targets[rows]
        splits[split] = Split(torch.from_numpy(np.asarray(inputs)), torch.from_numpy(np.asarray(targets)), prepare)
        start = part.stop
    classes = tuple(decoded.metadata["classes"])
    return Task(
        name=name,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        classes=len(classes),
        class_names=classes,
        facts={"copies_left_out": decoded.metadata["copies_left_out"]},
    )
