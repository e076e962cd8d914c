"""Copies of a module, as `copy.deepcopy` would make them, in a fraction of its time.

Borrowing is a part of every training step, and copying the module is the largest part of borrowing.  It owns what may
be taken for unchanging, and how each attribute of a module is copied; of parameters it knows that others take their
places.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache, lru_cache
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

if TYPE_CHECKING:
    from collections.abc import Sequence

UNCHANGING = frozenset(
    {type(None), bool, int, float, complex, str, bytes, type, FunctionType, BuiltinFunctionType}
    | {torch.dtype, torch.device, torch.Size, torch.memory_format, ref}
)
_TABLES = (OrderedDict, dict)
_CONTAINERS = frozenset({*_TABLES, set, list})


class Copies:
    """Makes copies of `module` in which others stand for its own `parameters`, wherever it refers to them.

    What is to be done for each attribute is found out once; the module must not change afterwards.
    """

    def __init__(self, module: nn.Module, parameters: Sequence[nn.Parameter]) -> None:
        self._module, self._parameters = module, parameters
        self._stencils = _stencils(module, parameters)

    def make(self, parameters: Sequence[nn.Parameter]) -> nn.Module:
        """A copy with these parameters, in the order of those that they stand for."""
        memo: dict[int, Any] = {id(old): new for old, new in zip(self._parameters, parameters, strict=True)}
        if self._stencils is None:
            whole: nn.Module = _copied(self._module, memo)
            return whole
        twins: list[nn.Module] = [object.__new__(stencil.kind) for stencil in self._stencils]
        for twin, stencil in zip(twins, self._stencils, strict=True):
            held = vars(twin)
            held.update(stencil.same)
            for name, kind in stencil.empty:
                held[name] = kind()
            for name, parts in stencil.tables:
                source: Sequence[Any] = parameters if name == "_parameters" else twins
                held[name] = {key: None if number is None else source[number] for key, number in parts}
        if any(stencil.others for stencil in self._stencils):
            self._add_others(twins, memo)
        return twins[0]

    def _add_others(self, twins: Sequence[nn.Module], memo: dict[int, Any]) -> None:
        """What may refer to anything: also to the modules, and to tables of theirs."""
        assert self._stencils is not None
        for twin, stencil in zip(twins, self._stencils, strict=True):
            memo[id(stencil.module)] = twin
            old, new = vars(stencil.module), vars(twin)
            memo.update({id(old[name]): new[name] for name, _ in (*stencil.empty, *stencil.tables)})
        for twin, stencil in zip(twins, self._stencils, strict=True):
            for name in stencil.others:
                vars(twin)[name] = _copied(vars(stencil.module)[name], memo)


@dataclass(frozen=True, kw_only=True)
class _Stencil:
    """How one module is copied: what becomes of each attribute in its `__dict__`."""

    module: nn.Module
    kind: type[Any]
    same: dict[str, Any]  # all attributes in their order; those that are replaced stand for themselves
    empty: tuple[tuple[str, type[Any]], ...]  # a dozen tables of hooks in every module
    # Of parameters and of modules: by key the number of each, None for one that is declared and absent.
    tables: tuple[tuple[str, tuple[tuple[str, int | None], ...]], ...]
    others: tuple[str, ...]


def _stencils(module: nn.Module, parameters: Sequence[nn.Parameter]) -> tuple[_Stencil, ...] | None:
    """One for each module, `module` first; None where one says itself how it is copied, or two share a table."""
    modules = list(module.modules())
    kinds: set[Any] = set(map(type, modules))
    if not all(map(_is_copied_as_usual, kinds)):
        return None
    numbers: dict[str, dict[int, int | None]] = {
        name: {id(None): None, **{id(one): number for number, one in enumerate(ours)}}
        for name, ours in (("_parameters", parameters), ("_modules", modules))
    }
    found = tuple(_stencil(child, numbers) for child in modules)
    made = [vars(one.module)[name] for one in found for name, _ in (*one.empty, *one.tables)]
    return found if len({id(table) for table in made}) == len(made) else None


def _stencil(module: nn.Module, numbers: dict[str, dict[int, int | None]]) -> _Stencil:
    empty: list[tuple[str, type[Any]]] = []
    tables: list[tuple[str, tuple[tuple[str, int | None], ...]]] = []
    others: list[str] = []
    for name, value in vars(module).items():
        kind = type(value)
        if kind in UNCHANGING or (kind is tuple and all(type(one) in UNCHANGING for one in value)):
            continue
        if kind in _CONTAINERS and not value:
            empty.append((name, kind))
        elif kind is dict and name in numbers and numbers[name].keys() >= set(map(id, value.values())):
            tables.append((name, tuple((key, numbers[name][id(one)]) for key, one in value.items())))
        else:
            others.append(name)
    return _Stencil(
        module=module,
        kind=type(module),
        same=vars(module),
        empty=_kept(tuple(empty)),
        tables=tuple(tables),
        others=tuple(others),
    )


@lru_cache(maxsize=256)
def _kept(names: tuple[tuple[str, type[Any]], ...]) -> tuple[tuple[str, type[Any]], ...]:
    """One for all modules that have the same: a dozen names, for thousands of modules."""
    return names


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """What `copy.deepcopy` would give, in a third of the time.

    Modules, dictionaries and what cannot change are copied here; whatever says itself how it is copied is asked.
    """
    kind: Any = type(value)
    if kind in UNCHANGING:
        return value
    known = memo.get(id(value), memo)  # `memo` stands for nothing: None may be known
    if known is not memo:
        return known
    if kind in _CONTAINERS and not value:
        memo[id(value)] = kind()
        return memo[id(value)]
    if kind in _TABLES:
        memo[id(value)] = table = kind()
        for key, one in value.items():
            table[_copied(key, memo)] = _copied(one, memo)
        return table
    if isinstance(value, nn.Module) and _is_copied_as_usual(kind):
        memo[id(value)] = twin = object.__new__(kind)
        # Half of what a module refers to cannot change: it is not worth a call.
        vars(twin).update(
            {name: one if type(one) in UNCHANGING else _copied(one, memo) for name, one in vars(value).items()}
        )
        return twin
    return copy.deepcopy(value, memo)


# Their `__setstate__` completes what older versions of torch have pickled, and changes nothing else.
_COMPLETE_OLDER = (
    *(nn.Module, _ConvNd, nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
    *(nn.Softmax, nn.Softmin, nn.LogSoftmax, nn.AvgPool3d),
)
_SAYS_HOW = ("__new__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__slots__")


@cache
def _is_copied_as_usual(kind: type[Any]) -> bool:
    """Whether a module of this class is its `__dict__` and nothing else."""
    own = [vars(base) for base in kind.__mro__ if base not in (*_COMPLETE_OLDER, object)]
    return not any(name in attributes for attributes in own for name in _SAYS_HOW)
