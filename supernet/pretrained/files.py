"""Weights in a safetensors file: tensors by name, and nothing that runs when it is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load

from supernet.errors import PretrainedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """What a file holds, and the SHA-256 of its bytes."""

    path: Path
    sha256: str
    tensors: Mapping[str, Tensor]


def read_weights(path: Path) -> WeightsFile:
    """Read a whole file.  Raises `PretrainedError` where it is no safetensors file, or holds nothing."""
    if path.is_dir():
        raise PretrainedError(f"{path} is a folder; give the one safetensors file that holds the whole model.")
    try:
        content = path.read_bytes()
        tensors = load(content)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise PretrainedError(
            f"{path} is no safetensors file ({error}). Other formats are not read: a pickle (.pt, .pth, .bin) may run "
            "code when it is loaded. Convert it where you trust it: safetensors.torch.save_file(tensors, "
            '"weights.safetensors").'
        ) from error
    if not tensors:
        raise PretrainedError(f"{path} holds no tensors.")
    return WeightsFile(path=path, sha256=hashlib.sha256(content).hexdigest(), tensors=tensors)
