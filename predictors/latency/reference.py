"""The fixed model that every candidate is timed against.

Two blocks of attention and a feed-forward network at width 64 over 64 tokens: the same kinds of kernel as the
candidates, a fraction of a millisecond on a laptop.  The file is made once on a device and kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

WIDTH, TOKENS, HEADS, BLOCKS = 64, 64, 4, 2


def write_reference(path: Path) -> None:
    """Write the reference model's ONNX file.  Its weights come from a fixed seed."""
    import torch

    from supernet.export.onnx import export_onnx

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _reference()
    export_onnx(model, torch.zeros(2, TOKENS, WIDTH), path)


def _reference() -> nn.Module:
    from torch import nn

    from supernet.mixers.softmax import SoftmaxAttention

    blocks: list[nn.Module] = []
    for _ in range(BLOCKS):
        blocks += [
            nn.LayerNorm(WIDTH),
            SoftmaxAttention(WIDTH, heads=HEADS, head_width=WIDTH // HEADS),
            nn.Linear(WIDTH, 2 * WIDTH),
            nn.GELU(),
            nn.Linear(2 * WIDTH, WIDTH),
        ]
    return nn.Sequential(*blocks)
