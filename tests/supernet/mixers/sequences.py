"""What holds of every sequence mixer: how it decodes, and how far a token reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tests.supernet.mixers.compare import randomised

if TYPE_CHECKING:
    from torch import nn


def token_by_token(mixer: Any, x_BTD: Tensor, room: int) -> Tensor:
    """The outputs of `step` for each token in turn, from a state with room for so many earlier tokens."""
    batch, tokens, _ = x_BTD.shape
    state = mixer.start(batch, room)
    shapes = [part.shape for part in state]
    rows = []
    for t in range(tokens):
        out_BD, state = mixer.step(x_BTD[:, t], torch.full((batch,), t), state)
        assert [part.shape for part in state] == shapes
        rows.append(out_BD)
    return torch.stack(rows, 1)


def assert_decoding_equals_the_parallel_form(mixer: nn.Module, batch: int, tokens: int, width: int) -> None:
    """With room for all tokens and with more, on random parameters, in double precision."""
    randomised(mixer)
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(batch, tokens, width, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for room in (max(1, tokens - 1), tokens + 3):
            torch.testing.assert_close(token_by_token(mixer, x, room), mixer(x), rtol=1e-10, atol=1e-10)


def reached(mixer: nn.Module, tokens: int, width: int, source: int) -> list[int]:
    """The tokens whose outputs change with token `source`."""
    randomised(mixer)
    x = torch.randn(1, tokens, width, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    with torch.no_grad():
        before = mixer(x)
        x[0, source] += 1.0
        changed = (mixer(x) - before).abs().amax(-1)[0] > 1e-12
    return changed.nonzero().flatten().tolist()
