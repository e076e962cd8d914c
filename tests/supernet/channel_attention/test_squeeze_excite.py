"""Squeeze-and-excitation against its slow definition."""

from __future__ import annotations

import pytest
import torch

from supernet.channel_attention import reference
from supernet.channel_attention.squeeze_excite import SqueezeExcite
from tests.supernet.mixers.compare import assert_same_function


@pytest.mark.parametrize(("channels", "height", "width"), [(8, 3, 5), (7, 1, 1), (1, 2, 3), (3, 4, 1)])
def test_it_is_a_gate_from_the_means_of_all_channels(channels: int, height: int, width: int) -> None:
    assert_same_function(SqueezeExcite(channels), reference.squeeze_excite, (2, channels, height, width))


@pytest.mark.parametrize(("channels", "hidden"), [(1, 1), (3, 1), (4, 1), (8, 2), (11, 2), (96, 24)])
def test_the_bottleneck_has_a_quarter_of_the_channels(channels: int, hidden: int) -> None:
    module = SqueezeExcite(channels)
    assert module.reduce.weight.shape == (hidden, channels)
    assert module.expand.weight.shape == (channels, hidden)


def test_every_gate_depends_on_every_channel() -> None:
    module = SqueezeExcite(8)
    torch.nn.init.constant_(module.reduce.weight, 0.1)
    x = torch.rand(1, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[0, 0] += 1.0
    assert ((module(x) != module(changed)).flatten(2).any(2)).all()
