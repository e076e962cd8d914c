"""Mixers of padded sequences as functions of the tokens alone, to compare them with their slow definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from supernet.compression import Policy, apply
from supernet.mixers.padded_softmax import cleared
from tests.supernet.mixers.compare import assert_same_function, randomised

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Padded(nn.Module):
    """`mixer` under a fixed padding; zero in place of it."""

    def __init__(self, mixer: nn.Module, real_BT: Tensor) -> None:
        super().__init__()
        self.mixer = mixer
        self.real_BT = real_BT

    def forward(self, x_BTD: Tensor) -> Tensor:
        return cleared(self.mixer(cleared(x_BTD, self.real_BT), self.real_BT), self.real_BT)


def some_padding(batch: int, tokens: int) -> Tensor:
    """One sequence without padding, one with padding behind it, one with gaps, one that is nothing else."""
    real_BT = torch.ones(batch, tokens, dtype=torch.bool)
    for sequence in range(batch):
        if sequence % 4 == 1:
            real_BT[sequence, tokens // 2 + 1 :] = False
        elif sequence % 4 == 2:
            real_BT[sequence, ::3] = False
        elif sequence % 4 == 3:
            real_BT[sequence] = False
    return real_BT


def assert_same_under_padding(mixer: nn.Module, slow: Callable[..., Tensor], tokens: int, width: int) -> None:
    """Outputs and gradients of every mask of `some_padding`."""
    module = Padded(mixer, some_padding(4, tokens))

    def definition(padded: Any, x_BTD: Tensor) -> Tensor:
        return slow(padded.mixer, cleared(x_BTD, padded.real_BT), padded.real_BT)

    assert_same_function(module, definition, (4, tokens, width))


def assert_padding_does_not_matter(mixer: nn.Module, tokens: int, width: int) -> None:
    """A sequence of `tokens` alone, and with padding behind it."""
    randomised(mixer)
    _assert_same_with_more_padding(mixer, torch.randn(1, tokens, width, generator=_generator()).double())


def assert_rounding_ignores_padding(mixer: nn.Module, tokens: int, width: int) -> None:
    """The same at 8 bits, where what padding brings into the range of a sample would make all steps coarser.

    Every map gives nearly zero for a real token and 5 for padding.
    """
    apply(mixer.double(), Policy(bits={"": 8}))
    with torch.no_grad():
        for name, parameter in mixer.named_parameters():
            value = 5.0 if name.endswith("bias") else -5.0 / parameter[0].numel()
            parameter.copy_(value + 0.01 * torch.randn(parameter.shape, generator=_generator()))
    _assert_same_with_more_padding(mixer, 1 + 0.1 * torch.randn(1, tokens, width, generator=_generator()).double())


def assert_every_query_sees_a_key(mixer: nn.Module, tokens: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every runtime gives zero for a softmax over nothing, as torch does on this machine."""
    seen: list[Tensor] = []

    def recording(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
        seen.append(attn_mask)
        return attention(q, k, v, attn_mask=attn_mask)

    attention = functional.scaled_dot_product_attention
    monkeypatch.setattr(functional, "scaled_dot_product_attention", recording)
    mixer(torch.zeros(4, tokens, width), some_padding(4, tokens))
    (visible,) = seen
    assert visible.any(-1).all()


def _assert_same_with_more_padding(mixer: nn.Module, x_BTD: Tensor) -> None:
    _, tokens, width = x_BTD.shape
    alone = mixer(x_BTD, torch.ones(1, tokens, dtype=torch.bool))
    for more in (1, 2, 11):
        longer = torch.cat([x_BTD, torch.zeros(1, more, width).double()], 1)
        real = torch.arange(tokens + more)[None] < tokens
        torch.testing.assert_close(mixer(longer, real)[:, :tokens], alone, rtol=1e-12, atol=1e-12)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
