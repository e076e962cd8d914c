"""Depthwise convolution as a token mixer, then a pointwise map (MobileNet, Howard et al. 2017, section 3.1)."""

# B batch, T tokens, D width

from __future__ import annotations

from torch import Tensor, nn

KERNEL = 3  # taps a side


class DepthwiseConvolution(nn.Module):
    """Each channel sees its 3 x 3 neighbourhood on a `grid` x `grid` image, zero beyond the edge.

    x_BTD -> out_BTD.
    """

    def __init__(self, width: int, *, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.depthwise = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.output = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        image = x_BTD.transpose(1, 2).reshape(-1, x_BTD.shape[-1], self.grid, self.grid)
        out_BTD: Tensor = self.output(self.depthwise(image).flatten(2).transpose(1, 2))
        return out_BTD
