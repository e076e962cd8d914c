"""What a token mixer for sequences is: a parallel form, and one step at a time with a state between the steps.

Owns the protocol and the axis of heads.  A mixer of no state may keep an empty tuple.
"""

# B batch, T tokens, D width, H heads, E head width, I = H * E

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor

State = tuple["Tensor", ...]  # each with the batch as its first axis


class SequenceMixer(Protocol):
    """A causal mixer of tokens: `step`, token by token from `start`, computes what the parallel form computes.

    A bidirectional mixer has no state: both raise `ValueError`.
    """

    def __call__(self, x_BTD: Tensor) -> Tensor:
        """The parallel form, over a whole sequence.  x_BTD -> out_BTD."""
        ...

    def start(self, batch: int, tokens: int) -> State:
        """The state before the first token.

        It has room for `tokens` earlier tokens; a later step forgets the oldest.  Shapes stay as they are here.
        """
        ...

    def step(self, x_BD: Tensor, position_B: Tensor, state: State) -> tuple[Tensor, State]:
        """One token for each sequence; `position_B`, int64, counts the tokens before it.  Returns out_BD and state."""
        ...


def by_head(projected_BTI: Tensor, heads: int) -> Tensor:
    """(B, T, I) -> (B, H, T, E): heads lie outermost in I, so that fewer heads are the leading features."""
    return torch.unflatten(projected_BTI, -1, (heads, -1)).transpose(1, 2)


def check_decodable(causal: bool) -> None:
    """Raises `ValueError` for a bidirectional mixer."""
    if not causal:
        raise ValueError("a bidirectional mixer reads later tokens and cannot go token by token; build it causal.")
