"""Squeeze-and-excitation (Hu et al. 2018, section 3)."""

# B batch, C channels, H and W height and width

from __future__ import annotations

from torch import Tensor, nn

REDUCTION = 4  # channels over hidden ones, as MobileNetV3 has it (Howard et al. 2019, section 5.3)


class SqueezeExcite(nn.Module):
    """Each channel times a gate that two linear maps make of the means of all channels (eq. 2 to 4).

    x_BCHW -> out_BCHW.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // REDUCTION)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        gate_BC = self.expand(self.reduce(x_BCHW.mean((2, 3))).relu()).sigmoid()
        out_BCHW: Tensor = x_BCHW * gate_BC[:, :, None, None]
        return out_BCHW
