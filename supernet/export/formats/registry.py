"""Which export formats exist.  Imports none of them: names are asked for where torch is not wanted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from supernet.errors import UnknownName

if TYPE_CHECKING:
    from supernet.export.formats.format import Format

_FORMATS = {  # by name: the file beside this one, and the object in it
    "onnx": ("full", "FULL"),
    "onnx-int8": ("integer", "INT8"),
    "onnx-int4": ("integer", "INT4"),
    "onnx-int8-static": ("static", "STATIC"),
    "onnx-fp16": ("half", "HALF"),
    "onnx-decode": ("decode", "DECODE"),
    "torch-export": ("torch_export", "TORCH_EXPORT"),
    "source": ("source", "SOURCE"),
}


def format_names() -> tuple[str, ...]:
    """The formats that `load_format` knows."""
    return tuple(_FORMATS)


def load_format(name: str) -> Format:
    """The format of this name.  Raises `UnknownName`."""
    if name not in _FORMATS:
        raise UnknownName(f"there is no export format {name!r}; known formats: {', '.join(_FORMATS)}.")
    file, attribute = _FORMATS[name]
    return cast("Format", getattr(import_module(f"{__package__}.{file}"), attribute))
