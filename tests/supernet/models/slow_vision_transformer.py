"""The vision transformer written out slowly, from the parameters of a built one: what its tests compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from supernet.mixers import reference
from supernet.mixers.windowed import WindowedAttention

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces.values import Value
    from supernet.models.vision_transformer import VisionTransformer


def step_by_step(module: VisionTransformer, answers: Mapping[str, Value], image_BCHW: Tensor) -> Tensor:
    """Logits, with the slow token mixers; patches are cut, grids convolved and averaged by hand."""
    parts: Any = module
    embedding = parts.embeddings[module.patch_name]
    side = int(answers["patch"])
    patches = image_BCHW.unfold(2, side, side).unfold(3, side, side)  # B C rows columns side side
    flat = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    grid = flat @ embedding.project.weight.flatten(1).T + embedding.project.bias + embedding.position
    token = None
    if answers.get("pooling") == "token":
        token = parts.class_token[0, 0].expand(len(image_BCHW), -1)
    stages = [module] if "stages" not in answers else list(parts.stages)
    for number, stage in enumerate(stages):
        if number:
            token, grid = _reduced(stage.reduction, token, grid)
        prefix = "" if stage is module else f"stages.{number}."
        for layer in stage.layers:
            token, grid = _layer(layer, str(answers.get(f"{prefix}block", "transformer")), token, grid)
    logits: Tensor = stages[-1].head(stages[-1].norm(grid)).mean(1)
    if token is not None:
        logits = stages[-1].head(stages[-1].norm(token))
    return logits


def _layer(layer: Any, block: str, token: Tensor | None, grid: Tensor) -> tuple[Tensor | None, Tensor]:
    if block != "transformer":
        grid = grid + _inverted(layer.inverted.body, layer.inverted.norm(grid))
    if layer.attention is not None and isinstance(layer.attention.body, WindowedAttention):
        grid = grid + reference.windowed_attention(layer.attention.body, layer.attention.norm(grid))
    elif layer.attention is not None:
        everything = grid if token is None else torch.cat([token[:, None], grid], 1)
        everything = everything + reference.softmax_attention(layer.attention.body, layer.attention.norm(everything))
        token, grid = (None, everything) if token is None else (everything[:, 0], everything[:, 1:])
    if layer.convolution is not None:
        grid = grid + reference.depthwise_convolution(layer.convolution.body, layer.convolution.norm(grid))
    if block == "transformer":
        grid = grid + _feed_forward(layer.feed_forward, grid)
        token = None if token is None else token + _feed_forward(layer.feed_forward, token)
    return token, grid


def _feed_forward(branch: Any, x: Tensor) -> Tensor:
    contracted: Tensor = branch.body.contract(F.gelu(branch.body.expand(branch.norm(x))))
    return contracted


def _inverted(body: Any, grid_BTD: Tensor) -> Tensor:
    hidden = F.gelu(body.expand(grid_BTD))
    kernel = body.depthwise.weight.squeeze(1)
    mixed = _by_taps(hidden, lambda patch, i, j: patch * kernel[:, i, j], stride=1) + body.depthwise.bias
    out: Tensor = body.contract(F.gelu(mixed))
    return out


def _reduced(reduction: Any, token: Tensor | None, grid: Tensor) -> tuple[Tensor | None, Tensor]:
    kernel, bias = reduction.convolution.weight, reduction.convolution.bias
    wide, narrow = kernel.shape[:2]
    mixed = _by_taps(reduction.norm(grid), lambda patch, i, j: patch @ kernel[:, :, i, j].T, stride=2) + bias
    image = _image(grid)
    means = sum(image[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    mixed[..., :narrow] += means.flatten(1, 2)
    if token is None:
        return None, mixed
    moved = reduction.token(reduction.norm(token))
    return moved + torch.cat([token, token.new_zeros(len(token), wide - narrow)], 1), mixed


def _image(grid_BTD: Tensor) -> Tensor:
    side = round(grid_BTD.shape[1] ** 0.5)
    return grid_BTD.unflatten(1, (side, side))


def _by_taps(grid_BTD: Tensor, tap: Any, *, stride: int) -> Tensor:
    """The sum over a 3 x 3 neighbourhood, zero beyond the edge, at every `stride`-th row and column."""
    image = _image(grid_BTD)
    side = image.shape[1]
    total: dict[tuple[int, int], Tensor] = {}
    for row in range(0, side, stride):
        for column in range(0, side, stride):
            terms = [
                tap(image[:, row + i - 1, column + j - 1], i, j)
                for i in range(3)
                for j in range(3)
                if 0 <= row + i - 1 < side and 0 <= column + j - 1 < side
            ]
            total[row, column] = torch.stack(terms).sum(0)
    return torch.stack(list(total.values()), 1)
