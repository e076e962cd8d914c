"""Softmax attention inside square windows without overlap (Swin, Liu et al. 2021, section 3.2, unshifted).

Computed window by window, so that its cost falls with the window: T * side^2 instead of T^2 products.
"""

# B batch, T tokens, G windows a side, S side of a window in tokens, D width

from __future__ import annotations

from typing import TYPE_CHECKING

from supernet.mixers.softmax import SoftmaxAttention

if TYPE_CHECKING:
    from torch import Tensor


class WindowedAttention(SoftmaxAttention):
    """Attention within windows of `side` x `side` tokens of a `grid` x `grid` image.  x_BTD -> out_BTD.

    Same parameters as full attention, to share weights with it.  `side` must divide `grid` or reach it; a
    window that covers the grid is full attention.
    """

    def __init__(self, width: int, *, heads: int, head_width: int, grid: int, side: int) -> None:
        super().__init__(width, heads=heads, head_width=head_width)
        if side < grid and grid % side:
            raise ValueError(f"a window of {side} tokens does not divide a grid of {grid}; use a divisor of {grid}.")
        self.side = min(side, grid)
        self.windows = grid // self.side

    def split(self, projected_BTI: Tensor) -> Tensor:
        """Tokens of a window side by side, windows in the batch axis."""
        if self.windows == 1:
            return projected_BTI
        G, S, inner = self.windows, self.side, projected_BTI.shape[-1]
        return projected_BTI.reshape(-1, G, S, G, S, inner).transpose(2, 3).reshape(-1, S * S, inner)

    def join(self, mixed: Tensor) -> Tensor:
        """Back to the order of the image."""
        if self.windows == 1:
            return mixed
        G, S, inner = self.windows, self.side, mixed.shape[-1]
        return mixed.reshape(-1, G, G, S, S, inner).transpose(2, 3).reshape(-1, (G * S) ** 2, inner)
