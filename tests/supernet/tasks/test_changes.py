"""What varies training images and recordings: shapes, bounds, and no randomness but the generator's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from supernet.tasks import audio_changes, image_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

EXAMPLES = {
    "image": torch.randn(64, 3, 16, 24, generator=torch.Generator().manual_seed(0)),
    "audio": torch.randn(64, 20, 40, generator=torch.Generator().manual_seed(0)),
}
CASES = [("image", change) for change in image_changes.CHANGES.values()] + [
    ("audio", change) for change in audio_changes.CHANGES.values()
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("kind", "change"), CASES)
def test_shape_type_and_originals_stay_and_the_generator_decides(
    kind: str, change: Callable[[Tensor, torch.Generator], Tensor]
) -> None:
    inputs = EXAMPLES[kind].clone()
    before = torch.get_rng_state()
    first, again, other = (change(inputs, seeded(seed)) for seed in (0, 0, 1))
    assert (first.shape, first.dtype) == (inputs.shape, inputs.dtype)
    assert torch.equal(first, again)
    assert torch.equal(first, other) == change.__name__.startswith("unchanged")
    assert torch.equal(inputs, EXAMPLES[kind])
    assert torch.equal(torch.get_rng_state(), before)
    assert change(inputs[:1, :, :1], seeded()).shape == inputs[:1, :, :1].shape


def test_images_move_by_an_eighth_at_most_and_their_edges_are_repeated() -> None:
    down, across = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
    moved = image_changes.shift(torch.stack((down, across)).expand(500, 2, 16, 24), seeded())
    moves = moved[:, :, 8, 12] - torch.tensor([8.0, 12.0])
    assert set(moves[:, 0].tolist()) == set(range(-2, 3))
    assert set(moves[:, 1].tolist()) == set(range(-3, 4))
    for image, (dy, dx) in zip(moved[:50], moves.tolist(), strict=False):
        assert torch.equal(image[0], (down + dy).clamp(0, 15))
        assert torch.equal(image[1], (across + dx).clamp(0, 23))


def test_half_of_the_images_are_turned_over_left_for_right() -> None:
    across = torch.arange(24.0).expand(1_000, 1, 16, 24)
    turned = image_changes.shift_and_flip(across, seeded())
    falling = turned[:, 0, 0, 12] > turned[:, 0, 0, 13]
    assert 420 < int(falling.sum()) < 580
    flat = turned.flip(3)[falling]
    assert ((flat[..., 1:] - flat[..., :-1]) >= 0).all()


def test_recordings_move_in_time_and_silence_comes_in() -> None:
    time = torch.arange(1.0, 41.0).expand(500, 20, 40)
    moved = audio_changes.shift(time, seeded())
    moves = (moved[:, 0, 20] - 21).long()
    assert set(moves.tolist()) == set(range(-4, 5))
    for recording, move in zip(moved[:50], moves[:50].tolist(), strict=True):
        expected = torch.arange(1.0, 41.0) + move
        expected[(expected < 1) | (expected > 40)] = 0
        assert torch.equal(recording, expected.expand(20, 40))


def test_masks_are_one_stretch_of_bands_and_one_of_frames() -> None:
    kept = audio_changes.shift_and_mask(torch.ones(400, 20, 40), seeded()) != 0
    bands, frames = ~kept[:, :, 10:30].any(2), ~kept.any(1)
    assert torch.equal(kept[:, :, 10:30], (~bands[:, :, None] & ~frames[:, None])[:, :, 10:30])
    widths = bands.sum(1)
    assert set(widths.tolist()) == set(range(5))
    edges = bands.int().diff(dim=1, prepend=torch.zeros(400, 1), append=torch.zeros(400, 1)).abs().sum(1)
    assert int(edges.max()) == 2
    assert bands.any(0).all(), "every band is masked at times"
    assert int(frames[:, 4:36].sum(1).max()) == 8
