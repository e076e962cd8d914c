"""One step of a language model that remembers: a module of its own, to export, time and count.

Owns the flat list of states.  What a layer remembers, its mixer says.
"""

# B batch, D width

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supernet.mixers.sequence import State


class _Layer(Protocol):
    def start(self, batch: int, tokens: int) -> State: ...

    def step(self, x_BD: Tensor, position_B: Tensor, state: State) -> tuple[Tensor, State]: ...


class DecodeStep(nn.Module):
    """(token_B, position_B, *state) -> (logits, *state): the next token of each sequence, after `position_B` others.

    `model` has an `embedding`, `layers` with `start` and `step`, a `norm` and a `head`, and is held, not copied.
    `start` makes the first state.  Its shapes fix how many earlier tokens there is room for, and never change; past
    that, the oldest tokens are forgotten.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._states = [len(layer.start(1, 1)) for layer in self._layers()]

    def _layers(self) -> Iterable[_Layer]:
        return cast("Iterable[_Layer]", self.model.get_submodule("layers"))

    def start(self, batch: int, tokens: int) -> State:
        """The state before the first token, with room for `tokens` earlier ones."""
        return tuple(part for layer in self._layers() for part in layer.start(batch, tokens))

    def forward(self, token_B: Tensor, position_B: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        x_BD = self.model.get_submodule("embedding")(token_B)
        following: list[Tensor] = []
        for layer, count in zip(self._layers(), self._states, strict=True):
            first = len(following)
            x_BD, own = layer.step(x_BD, position_B, state[first : first + count])
            following += own
        logits: Tensor = self.model.get_submodule("head")(self.model.get_submodule("norm")(x_BD))
        return (logits, *following)


def state_bytes(model: nn.Module, tokens: int) -> float:
    """What one sequence's state takes with room for so many earlier tokens; `model` as for `DecodeStep`."""
    return float(sum(part.numel() * part.element_size() for part in DecodeStep(model).start(1, tokens)))
