"""Rotary positions: turning complex numbers, and seeing distances only."""

from __future__ import annotations

import pytest
import torch

from supernet.mixers.rotary import check_head_width, rotated, turns


def at(x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    return rotated(x, turns(position, x))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("head_width", [2, 6])
def test_it_turns_each_pair_by_its_own_angle(head_width: int) -> None:
    x = drawn(2, 3, 7, head_width)
    half = head_width // 2
    angle = torch.arange(7.0, dtype=torch.float64)[:, None] * 10_000.0 ** (-torch.arange(half).double() / half)
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)
    expected = torch.cat([turned.real, turned.imag], -1)
    torch.testing.assert_close(at(x, torch.arange(7)), expected, rtol=1e-12, atol=1e-12)


def test_products_depend_on_distances_only() -> None:
    q, k = drawn(1, 2, 5, 8, seed=1), drawn(1, 2, 5, 8, seed=2)
    products = [at(q, place) @ at(k, place).transpose(2, 3) for place in (torch.arange(5), torch.arange(5) + 9)]
    torch.testing.assert_close(*products, rtol=1e-12, atol=1e-12)


def test_each_sequence_may_be_at_a_position_of_its_own() -> None:
    x = drawn(3, 2, 1, 4)
    apart = at(x, torch.tensor([4, 0, 7])[:, None, None])
    for row, place in enumerate((4, 0, 7)):
        assert torch.equal(apart[row : row + 1], at(x[row : row + 1], torch.tensor([place])))


def test_angles_of_far_tokens_keep_their_precision_in_bf16() -> None:
    x = drawn(1, 1, 1, 4).bfloat16()
    exact = at(x.double(), torch.tensor([1023]))
    torch.testing.assert_close(at(x, torch.tensor([1023])).double(), exact, rtol=2**-7, atol=2**-6)


def test_an_odd_head_width_is_refused() -> None:
    with pytest.raises(ValueError, match="got 5; use an even head width"):
        check_head_width(5)
