"""What the vision transformer is made of: layers, stages of layers, and the reduction of the grid between stages.

Tokens are those of a square grid, row by row; where a class token is carried along, it is the first, before them.
Which parts an architecture has, `vision_transformer` says.
"""

# B batch, T tokens, D width, G tokens a side of the grid

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.mixers.convolution import DepthwiseConvolution
from supernet.mixers.softmax import SoftmaxAttention
from supernet.mixers.windowed import WindowedAttention
from supernet.models.feed_forward import PlainFeedForward

if TYPE_CHECKING:
    from search_spaces.values import Value

KERNEL = 3  # taps a side, of the inverted residual and of the reduction


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The tokens that a layer is given: `grid` x `grid` of `width` features, after the class token if there is one."""

    width: int
    grid: int
    class_token: bool = False

    def image(self, x_BTD: Tensor) -> Tensor:
        """The grid alone.  x_BTD -> (batch, width, grid, grid)."""
        return x_BTD[:, int(self.class_token) :].transpose(1, 2).reshape(-1, self.width, self.grid, self.grid)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, contract, with GELUs between (MobileNetV2, Sandler et al. 2018, section 3.3).

    As MOAT uses it (Yang et al. 2022), except that the normalisation is the branch's layer normalisation:
    subnets of shared weights have no running statistics in common.  x_BTD -> out_BTD.
    """

    def __init__(self, width: int, hidden: int, *, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.expand = nn.Linear(width, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, KERNEL, padding=KERNEL // 2, groups=hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        hidden = nn.functional.gelu(self.expand(x_BTD))
        image = hidden.transpose(1, 2).reshape(-1, hidden.shape[-1], self.grid, self.grid)
        mixed = self.depthwise(image).flatten(2).transpose(1, 2)
        out_BTD: Tensor = self.contract(nn.functional.gelu(mixed))
        return out_BTD


class Branch(nn.Module):
    """What a residual connection skips: a normalisation, then a module."""

    def __init__(self, width: int, body: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = body

    def forward(self, x_BTD: Tensor) -> Tensor:
        out_BTD: Tensor = self.body(self.norm(x_BTD))
        return out_BTD


class Block(nn.Module):
    """One layer, each part in a residual branch.  x_BTD -> out_BTD.

    A `transformer` has a token mixer (or none) and a feed-forward network, a `convolution` an inverted residual, and
    a `moat` the inverted residual and then the mixer.  What works on the grid leaves the class token as it is: only
    full attention and the feed-forward network have it among their inputs.
    """

    def __init__(self, answers: Mapping[str, Value], *, block: str, tokens: Tokens, head_width: int) -> None:
        super().__init__()
        if block not in ("transformer", "convolution", "moat"):
            raise ValueError(f"unknown block {block!r}; known: transformer, convolution, moat.")
        width, hidden = tokens.width, round(tokens.width * float(answers["mlp_ratio"]))
        self.class_token = tokens.class_token
        self.inverted: Branch | None = None
        self.attention: Branch | None = None
        self.convolution: Branch | None = None
        self.feed_forward: Branch | None = None
        if block != "transformer":
            self.inverted = Branch(width, InvertedResidual(width, hidden, grid=tokens.grid))
        if block != "convolution":
            self._add_mixer(answers, tokens, head_width)
        if block == "transformer":
            self.feed_forward = Branch(width, PlainFeedForward(width, hidden))

    def _add_mixer(self, answers: Mapping[str, Value], tokens: Tokens, head_width: int) -> None:
        mixer, width, grid = answers["mixer"], tokens.width, tokens.grid
        if mixer == "softmax":
            heads = int(answers["heads"])
            self.attention = Branch(width, SoftmaxAttention(width, heads=heads, head_width=head_width))
        elif mixer == "windowed":
            heads, side = int(answers["heads"]), int(answers["window"])
            body = WindowedAttention(width, heads=heads, head_width=head_width, grid=grid, side=side)
            self.attention = Branch(width, body)
        elif mixer == "convolution":
            self.convolution = Branch(width, DepthwiseConvolution(width, grid=grid))
        elif mixer != "identity":
            raise ValueError(f"unknown token mixer {mixer!r}; known: identity, convolution, windowed, softmax.")

    def forward(self, x_BTD: Tensor) -> Tensor:
        if self.inverted is not None:
            x_BTD = self._on_grid(self.inverted, x_BTD)
        if self.attention is not None:
            windowed = isinstance(self.attention.body, WindowedAttention)
            x_BTD = self._on_grid(self.attention, x_BTD) if windowed else x_BTD + self.attention(x_BTD)
        if self.convolution is not None:
            x_BTD = self._on_grid(self.convolution, x_BTD)
        if self.feed_forward is not None:
            x_BTD = x_BTD + self.feed_forward(x_BTD)
        return x_BTD

    def _on_grid(self, branch: Branch, x_BTD: Tensor) -> Tensor:
        """`branch` in its residual connection, for the grid alone."""
        if not self.class_token:
            out_BTD: Tensor = x_BTD + branch(x_BTD)
            return out_BTD
        token, grid = x_BTD[:, :1], x_BTD[:, 1:]
        return torch.cat([token, grid + branch(grid)], 1)


class Reduction(nn.Module):
    """Half the tokens a side, `width` or more features each: residual spatial reduction (ViT-ResNAS, Liao et al. 2021,
    section 3), without positions of its own.

    A strided convolution of the normalised grid is added to the grid's 2 x 2 means, with zeros for the features that
    are new; a class token takes a linear map instead of the convolution.  x_BTD -> out_BTD.
    """

    def __init__(self, tokens: Tokens, *, width: int) -> None:
        super().__init__()
        if width < tokens.width:
            raise ValueError(
                f"a stage of width {width} cannot follow one of width {tokens.width}: features are only added; "
                f"choose {tokens.width} or more."
            )
        self.tokens = tokens
        self.added = width - tokens.width
        self.norm = nn.LayerNorm(tokens.width)
        self.convolution = nn.Conv2d(tokens.width, width, KERNEL, stride=2, padding=KERNEL // 2)
        self.token = nn.Linear(tokens.width, width) if tokens.class_token else None

    def forward(self, x_BTD: Tensor) -> Tensor:
        normed = self.norm(x_BTD)
        means = nn.functional.avg_pool2d(self.tokens.image(x_BTD), 2).flatten(2).transpose(1, 2)
        mixed = self.convolution(self.tokens.image(normed)).flatten(2).transpose(1, 2)
        out_BTD: Tensor = mixed + self._padded(means)
        if self.token is None:
            return out_BTD
        return torch.cat([self.token(normed[:, :1]) + self._padded(x_BTD[:, :1]), out_BTD], 1)

    def _padded(self, x_BTD: Tensor) -> Tensor:
        return nn.functional.pad(x_BTD, (0, self.added))


class Stage(nn.Module):
    """Layers at one width and on one grid, after the reduction from the stage before if there is one.

    The last stage holds the normalisation and the head that end the network: another number of stages has others.
    x_BTD -> out_BTD.
    """

    def __init__(self, reduction: Reduction | None, layers: nn.ModuleList, *, width: int, classes: int | None) -> None:
        super().__init__()
        self.reduction = reduction
        self.layers = layers
        if classes is not None:
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, classes)

    def forward(self, x_BTD: Tensor) -> Tensor:
        if self.reduction is not None:
            x_BTD = self.reduction(x_BTD)
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        return x_BTD
