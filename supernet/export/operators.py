"""The operators of torch's ONNX exporter, read once: it parses the sources of its 500 anew for every file.

That takes a second of each export (torch 2.13, onnxscript 0.7), whatever the size of the module.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = "from_torchlib"


@contextlib.contextmanager
def operators_read_once() -> Iterator[None]:
    """Inside the block the exporter gets a copy of what it read first.

    Beside an export in another thread, and with a version of torch that does it otherwise, it reads them anew.
    """
    registry = _registry()
    own = getattr(registry, "__dict__", {}).get(_NAME)
    if not isinstance(own, classmethod):
        yield
        return
    setattr(registry, _NAME, staticmethod(functools.partial(_copied, getattr(registry, _NAME))))
    try:
        yield
    finally:
        setattr(registry, _NAME, own)


def _registry() -> type | None:
    """None in a version of torch that has it elsewhere."""
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:
        return None
    return ONNXRegistry


def _copied(read: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Of the kept registry: an export may add operators to its own."""
    kept = _kept(read, *arguments, **options)
    copied = copy.copy(kept)
    copied.functions = {name: list(found) for name, found in kept.functions.items()}
    return copied


_kept = functools.cache(lambda read, *arguments, **options: read(*arguments, **options))
