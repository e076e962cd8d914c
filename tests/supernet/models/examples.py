"""A small task for each model family, on random data: what the tests of all families run on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from supernet.tasks.task import UNLABELLED, Kind, Split, Task

if TYPE_CHECKING:
    from collections.abc import Callable

VOCABULARY = 17
TOKENS = 12
CONTEXT = 40  # more than the spans of the default space, so that these cut something off


def _task(kind: Kind, inputs: Tensor, targets: Tensor, *, classes: int) -> Task:
    parts = [Split(inputs[rows], targets[rows]) for rows in (slice(0, 8), slice(8, 12), slice(12, 16))]
    return Task(name=f"random {kind}", train=parts[0], validation=parts[1], test=parts[2], classes=classes, kind=kind)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


def images(size: int = 8, channels: int = 1) -> Task:
    """Square images of three classes."""
    inputs = torch.randn(16, channels, size, size, generator=_generator())
    return _task("image", inputs, torch.arange(16) % 3, classes=3)


def sentences() -> Task:
    """Tokens with one class a sequence; 0 fills up what is shorter than the longest."""
    inputs = torch.randint(1, VOCABULARY, (16, TOKENS), generator=_generator())
    inputs[::3, TOKENS - 3 :] = 0
    return replace(_task("tokens", inputs, torch.arange(16) % 3, classes=3), vocabulary=VOCABULARY)


def language() -> Task:
    """Tokens, each with its successor as target; the first of each sequence has none."""
    ids = torch.randint(VOCABULARY, (16, CONTEXT + 1), generator=_generator())
    targets = ids[:, 1:].clone()
    targets[:, 0] = UNLABELLED
    made = _task("tokens", ids[:, :-1], targets, classes=VOCABULARY)
    return replace(made, vocabulary=VOCABULARY, per_position=True)


def recordings(features: int = 10, frames: int = 24) -> Task:
    """Features over time, of three classes."""
    inputs = torch.randn(16, features, frames, generator=_generator())
    return _task("audio", inputs, torch.arange(16) % 3, classes=3)


TASKS: dict[str, Callable[[], Task]] = {
    "causal_lm": language,
    "convnet": images,
    "tdnn": recordings,
    "text_encoder": sentences,
    "vision_transformer": images,
}
