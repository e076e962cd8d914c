"""A small task of seeded random samples: something that a model family can be built for and tried on.

Owns what such samples look like for each kind of task.  Nothing can be learnt from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from supernet.errors import OptionError
from supernet.tasks.task import PADDING, Split, Task

if TYPE_CHECKING:
    from torch import Tensor

    from supernet.tasks.task import Kind

SAMPLES = 16  # half of them to train on
_AXES = {"image": 3, "tokens": 1, "audio": 2, "features": 1}


@dataclass(frozen=True, kw_only=True)
class Example:
    """What one sample is, without the data: calling it makes a `Task` of random samples, the same ones every time.

    `shape` is that of one sample as a network reads it, without the batch axis: image (channels, height, width), tokens
    (length,), audio (features, frames), features (count,).  Tokens need a `vocabulary`; `per_position`, each token has
    a target.

    Raises `OptionError` where these contradict each other.
    """

    kind: Kind
    shape: tuple[int, ...]
    classes: int
    vocabulary: int | None = None
    per_position: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _AXES:
            raise OptionError(f"an example is of one of the kinds {', '.join(_AXES)}, got {self.kind!r}.")
        if len(self.shape) != _AXES[self.kind] or any(type(size) is not int or size < 1 for size in self.shape):
            raise OptionError(
                f"a sample of the kind {self.kind!r} has {_AXES[self.kind]} axes of at least 1, got the shape "
                f"{self.shape}; the batch axis is not part of it."
            )
        if self.classes < 2:
            raise OptionError(f"an example has at least 2 classes, got {self.classes}.")
        if (self.kind == "tokens") != (self.vocabulary is not None):
            raise OptionError(
                f"a vocabulary belongs to tokens and to nothing else; {self.kind!r} has the vocabulary "
                f"{self.vocabulary}."
            )
        if self.vocabulary is not None and self.vocabulary < 2:
            raise OptionError(
                f"a vocabulary has at least 2 tokens, the first of which is padding; got {self.vocabulary}."
            )
        if self.per_position and self.kind != "tokens":
            raise OptionError(f"only tokens can have targets by position, not {self.kind!r}.")

    def __call__(self) -> Task:
        """The task, called "example"."""
        generator = torch.Generator().manual_seed(self.seed)
        inputs = self._inputs(generator)
        shape = (SAMPLES, *self.shape) if self.per_position else (SAMPLES,)
        targets = torch.randint(self.classes, shape, generator=generator)
        half, rest = SAMPLES // 2, SAMPLES * 3 // 4
        return Task(
            name="example",
            train=Split(inputs[:half], targets[:half]),
            validation=Split(inputs[half:rest], targets[half:rest]),
            test=Split(inputs[rest:], targets[rest:]),
            classes=self.classes,
            kind=self.kind,
            vocabulary=self.vocabulary,
            per_position=self.per_position,
        )

    def _inputs(self, generator: torch.Generator) -> Tensor:
        if self.vocabulary is None:
            return torch.randn(SAMPLES, *self.shape, generator=generator)
        return torch.randint(PADDING + 1, self.vocabulary, (SAMPLES, *self.shape), generator=generator)
