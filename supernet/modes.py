"""Running a module in evaluation mode and leaving every part of it in the mode that it had."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Within, `module` and all its parts are in evaluation mode.

    Afterwards each part has its own mode back: `module.train(mode)` would wake a part that somebody froze.
    """
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes:
            child.training = mode
