"""A module as an expression that makes it again: its concrete tree, every layer with its sizes.

Works on the module itself, not on what it was built from, so that it holds for any module.
"""

from __future__ import annotations

import inspect
import math
import textwrap
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from supernet.errors import ExportError
from supernet.export.source.definitions import Definitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH = 80  # characters of a line, indentation apart
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_OF_ANY_MODULE = frozenset(vars(nn.Module()))


def described(module: nn.Module) -> tuple[str, Definitions]:
    """Python that makes a module like this one, without its values, and the definitions that it needs.

    Raises `ExportError`, with the path of what cannot be written.
    """
    definitions = Definitions()
    for child in module.modules():
        if not _is_torch(_owner(type(child))):
            definitions.need(type(child))
    _expression(module, definitions)  # adds the classes of settings, whose code may ask for more of them
    return _expression(module, definitions), definitions


def _expression(module: nn.Module, definitions: Definitions, path: str = "") -> str:
    where = path or "the network"
    if "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
        raise ExportError(f"{where} has a forward or hooks of its own, which no file holds.")
    if module._non_persistent_buffers_set:
        raise ExportError(f"{where} keeps tables that are not among its weights: {module._non_persistent_buffers_set}.")
    kind = type(module)
    if not _is_torch(_owner(kind)):  # who defines forward
        return _own(module, definitions, path)
    known = next(base for base in kind.__mro__ if _is_torch(base))
    if getattr(nn, known.__name__, None) is not known:
        raise ExportError(f"{where} is a {known.__name__}, which torch.nn does not offer by name.")
    children = {name: _expression(child, definitions, _below(path, name)) for name, child in _children(module)}
    if isinstance(module, nn.ModuleDict):
        return f"nn.ModuleDict({_braced('{', [(f'{name!r}: ', text) for name, text in children.items()])})"
    if isinstance(module, nn.ModuleList):
        return f"nn.ModuleList({_braced('[', [('', text) for text in children.values()])})"
    if isinstance(module, nn.Sequential):
        if list(children) == [str(index) for index in range(len(children))]:
            return _call("nn.Sequential", [("", text) for text in children.values()])
        raise ExportError(f"{where} is a Sequential with names; its numbers are written only.")
    return _call(f"nn.{known.__name__}", list(_arguments(module, known, where)))


def _own(module: nn.Module, definitions: Definitions, path: str) -> str:
    """A module of a class whose forward is not torch's."""
    kind = type(module)
    known = next(base for base in kind.__mro__ if _is_torch(base))
    settings = {
        name: value
        for name, value in vars(module).items()
        if name not in _OF_ANY_MODULE and name in definitions.accessed
    }
    if known is not nn.Module:
        made = _call(kind.__name__, list(_arguments(module, known, path)))
        own = [(f"{n}=", _value(v, definitions, path)) for n, v in settings.items() if n not in _plain(known)]
        return _call("having", [("", made), *own]) if own else made
    parts = [(f"{name}=", _value(value, definitions, _below(path, name))) for name, value in settings.items()]
    for name, tensor in {**module._parameters, **module._buffers}.items():
        parts.append((f"{name}=", _tensor(tensor)))
    parts += [(f"{name}=", _expression(child, definitions, _below(path, name))) for name, child in _children(module)]
    return _call(kind.__name__, parts)


def _arguments(module: nn.Module, known: type, where: str) -> Iterator[tuple[str, str]]:
    """What a layer of torch is made with, as its attributes tell; what is as by default is left out."""
    for name, parameter in inspect.signature(known).parameters.items():
        if name in ("device", "dtype") or name.startswith("_") or parameter.kind in _ANY_NUMBER:
            continue
        if name == "bias" and hasattr(module, "bias"):
            value: Any = module.bias is not None
        elif hasattr(module, name):
            value = getattr(module, name)
        elif parameter.default is parameter.empty:
            raise ExportError(f"{where} is a {known.__name__}, whose {name} cannot be read from it.")
        else:
            continue
        if isinstance(value, tuple) and _is_one_for_all(module, value):
            value = value[0]
        if parameter.default is parameter.empty:
            yield "", _plain_value(value, where)
        elif value != parameter.default:
            yield f"{name}=", _plain_value(value, where)


def _is_one_for_all(module: nn.Module, sizes: tuple[Any, ...]) -> bool:
    """Whether one number means the same as these."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return len(set(sizes)) == 1
    return isinstance(module, (nn.LayerNorm, nn.RMSNorm)) and len(sizes) == 1


def _plain(known: type) -> set[str]:
    """The attributes that a layer of torch has of itself."""
    return {*inspect.signature(known).parameters, *getattr(known, "__constants__", ())}


def _value(value: Any, definitions: Definitions, where: str) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        definitions.need(type(value))
        parts = [(f"{one.name}=", _value(getattr(value, one.name), definitions, where)) for one in fields(value)]
        return _call(type(value).__name__, parts)
    return _plain_value(value, where)


def _plain_value(value: Any, where: str) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, torch.dtype):
        return repr(value)
    if type(value) in (tuple, list, set, frozenset):
        inside = [_plain_value(one, where) for one in value]
        if type(value) is tuple:
            return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"
        listed = f"[{', '.join(inside)}]"
        return listed if type(value) is list else f"{type(value).__name__}({listed})"
    if type(value) is dict:
        return _braced("{", [(f"{_plain_value(k, where)}: ", _plain_value(v, where)) for k, v in value.items()])
    raise ExportError(f"{where} is a {type(value).__name__}, which cannot be written as text.")


def _tensor(tensor: Tensor | None) -> str:
    if tensor is None:
        return "None"
    kind = "" if tensor.dtype == torch.float32 else f", dtype={tensor.dtype}"
    empty = f"torch.empty({_plain_value(tuple(tensor.shape), '')}{kind})"
    return f"nn.Parameter({empty})" if isinstance(tensor, nn.Parameter) else empty


def _owner(kind: type) -> type:
    return next(base for base in kind.__mro__ if "forward" in vars(base))


def _is_torch(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "torch"


def _children(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, child) for name, child in module._modules.items() if child is not None]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _call(function: str, arguments: Sequence[tuple[str, str]]) -> str:
    return function + _braced("(", arguments)


def _braced(opening: str, items: Sequence[tuple[str, str]]) -> str:
    """Items with their labels between braces: on one line if they fit, else one a line."""
    closing = {"(": ")", "[": "]", "{": "}"}[opening]
    texts = [label + text for label, text in items]
    flat = f"{opening}{', '.join(texts)}{closing}"
    if "\n" not in flat and len(flat) <= _WIDTH:
        return flat
    inside = textwrap.indent(",\n".join(texts) + ",", "    ")
    return f"{opening}\n{inside}\n{closing}"
