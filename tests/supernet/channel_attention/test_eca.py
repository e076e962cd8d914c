"""Efficient channel attention against its slow definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from supernet import SharedWeights
from supernet.channel_attention import reference
from supernet.channel_attention.eca import EfficientChannelAttention, taps_for
from tests.supernet.mixers.compare import assert_same_function, randomised
from tests.supernet.toys import of_width, randomise, width_space

if TYPE_CHECKING:
    from search_spaces import Architecture


@pytest.mark.parametrize(("channels", "height", "width"), [(9, 3, 2), (8, 1, 1), (1, 2, 3), (2, 3, 1), (130, 1, 2)])
def test_it_is_a_gate_from_the_means_of_neighbouring_channels(channels: int, height: int, width: int) -> None:
    module = EfficientChannelAttention(channels)
    assert_same_function(module, reference.efficient_channel_attention, (2, channels, height, width))


@pytest.mark.parametrize(
    ("channels", "taps"),
    [(1, 1), (2, 1), (7, 1), (8, 3), (64, 3), (127, 3), (128, 5), (256, 5), (512, 5), (2047, 5), (2048, 7)],
)
def test_more_channels_look_at_more_neighbours(channels: int, taps: int) -> None:
    assert taps_for(channels) == taps
    assert [p.numel() for p in EfficientChannelAttention(channels).parameters()] == [taps]


def test_a_gate_depends_on_its_neighbours_and_no_others() -> None:
    module = randomised(EfficientChannelAttention(16))
    x = torch.rand(1, 16, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    changed = x.clone()
    changed[0, 0] += 1.0
    moved = (module(x) != module(changed)).flatten(2).any(2)[0]
    assert moved.tolist() == [True, True, *[False] * 14]


def test_fewer_taps_are_the_middle_of_more() -> None:
    def build(architecture: Architecture) -> EfficientChannelAttention:
        return EfficientChannelAttention(int(architecture["width"]))

    weights = randomise(SharedWeights(build, width_space(4, 16, 128)))
    with torch.no_grad():
        weights.get_parameter("mix.weight").copy_(torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]]))
    taps = {width: weights.borrow(of_width(width)).get_parameter("mix.weight") for width in (4, 16, 128)}
    assert {width: tap.flatten().tolist() for width, tap in taps.items()} == {
        4: [3.0],
        16: [2.0, 3.0, 4.0],
        128: [1.0, 2.0, 3.0, 4.0, 5.0],
    }
