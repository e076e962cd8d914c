"""Windowed attention against dense attention under a mask, and what it saves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from supernet.mixers import reference
from supernet.mixers.softmax import SoftmaxAttention
from supernet.mixers.windowed import WindowedAttention
from tests.supernet.mixers.compare import assert_same_function, randomised


@pytest.mark.parametrize(
    ("width", "heads", "head_width", "grid", "side"),
    [(8, 2, 4, 4, 2), (7, 3, 5, 9, 3), (5, 1, 3, 3, 1), (6, 2, 1, 6, 2), (6, 2, 3, 3, 3), (6, 2, 3, 2, 7)],
)
def test_it_is_attention_within_windows(width: int, heads: int, head_width: int, grid: int, side: int) -> None:
    module = WindowedAttention(width, heads=heads, head_width=head_width, grid=grid, side=side)
    assert_same_function(module, reference.windowed_attention, (2, grid * grid, width))


def test_a_token_sees_its_window_and_nothing_else() -> None:
    module = randomised(WindowedAttention(4, heads=2, head_width=2, grid=6, side=3))
    x = torch.randn(1, 36, 4, generator=torch.Generator().manual_seed(0)).double()
    before = module(x)
    x[0, 0] += 1.0  # the first window is rows 0 to 2 of columns 0 to 2
    changed = (module(x) != before).any(-1).reshape(6, 6)
    inside = torch.zeros(6, 6, dtype=torch.bool)
    inside[:3, :3] = True
    assert torch.equal(changed, inside)


def test_it_has_the_parameters_of_full_attention() -> None:
    full = SoftmaxAttention(6, heads=2, head_width=3)
    windowed = WindowedAttention(6, heads=2, head_width=3, grid=4, side=2)
    windowed.load_state_dict(full.state_dict())


def test_a_window_that_does_not_divide_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 3 tokens does not divide a grid of 4"):
        WindowedAttention(4, heads=1, head_width=4, grid=4, side=3)


def _written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The two products as matrix products: some builds count the fused operator as nothing on a CPU."""
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v


@pytest.mark.parametrize(("grid", "side"), [(4, 2), (6, 2), (6, 3), (4, 4)])
def test_its_multiply_adds_fall_with_the_window(grid: int, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "scaled_dot_product_attention", _written_out)
    batch, width, heads, head_width = 2, 5, 3, 4
    tokens, inner = grid * grid, heads * head_width

    def macs(module: torch.nn.Module) -> int:
        with FlopCounterMode(display=False) as counter:
            module(torch.zeros(batch, tokens, width))
        return int(counter.get_total_flops()) // 2

    projections = 4 * batch * tokens * width * inner
    full = SoftmaxAttention(width, heads=heads, head_width=head_width)
    windowed = WindowedAttention(width, heads=heads, head_width=head_width, grid=grid, side=side)
    assert macs(full) == projections + 2 * batch * tokens * tokens * inner
    assert macs(windowed) == projections + 2 * batch * tokens * side**2 * inner
