"""Borrowed modules that are given back and lent again, as long as nobody can tell them from new ones.

Training borrows the largest and the smallest architecture in every step, and to make hundreds of parameters and
modules anew each time is some hundredths of a small subnet's step.  A module is lent again only if nothing that it
holds was set, added or taken away meanwhile: no attribute, hook, gradient, or entry of a table.  Buffers get their
first values back.  Where something could change unseen, an object of somebody's own class say, no module is lent twice.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from itertools import chain
from operator import is_, methodcaller
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from supernet.borrowing import Gathered, is_borrowed
from supernet.copying import UNCHANGING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class _Opaque(Exception):
    """Something was found that may change unseen."""


class Loan:
    """A borrowed module, and what it takes to tell whether it is as it was when this was made of it."""

    @classmethod
    def of(
        cls, module: nn.Module, gathered: Sequence[Gathered], shared: Iterable[nn.Parameter], *, training: bool
    ) -> Self | None:
        """Made of a module that was borrowed just now, for training or not; None if changes of it might be missed."""
        try:
            return cls(module, gathered, shared, training)
        except _Opaque:
            return None

    def __init__(
        self, module: nn.Module, gathered: Sequence[Gathered], shared: Iterable[nn.Parameter], training: bool
    ) -> None:
        self.module, self.training = module, training
        self._gathered, self._shared = gathered, tuple(shared)
        self._parameters, self._buffers = tuple(module.parameters()), tuple(module.buffers())
        self._of_tensors = self._state_of_tensors()
        self._tables: list[dict[Any, Any]] = []
        self._lists: list[list[Any]] = []
        self._empty: list[dict[Any, Any] | list[Any] | set[Any]] = []
        self._constants: list[tuple[Tensor, Tensor]] = []
        self._first = [buffer.clone() for buffer in self._buffers]
        self._remember(module)
        self._sizes, self._held = self._sizes_now(), tuple(self._held_now())

    def renew(self) -> bool:
        """Whether the module may be taken for a new one; its buffers and gathered parameters then are as of a new one.

        False once anything about it, or about the shared tensors but their values, is not as it was.
        """
        if not self._is_as_it_was():
            return False
        # All of them: batch norm writes its statistics without counting up their versions.
        with torch.no_grad():
            for buffer, first in zip(self._buffers, self._first, strict=True):
                buffer.copy_(first)
        for one in self._gathered:
            one.refresh()
        return True

    def _is_as_it_was(self) -> bool:
        # Identities: values of tables are tensors, and whoever replaced one by its equal replaced it all the same.
        return (
            not any(self._empty)
            and self._sizes_now() == self._sizes
            and all(map(is_, self._held_now(), self._held))
            and all(torch.equal(constant, first) for constant, first in self._constants)
            and not any(one.grad is not None or one._backward_hooks for one in self._parameters)
            and self._state_of_tensors() == self._of_tensors
        )

    def _sizes_now(self) -> list[int]:
        return [*map(len, self._tables), *map(len, self._lists)]

    def _held_now(self) -> Iterator[Any]:
        """Every key and value of the tables and every item of the lists: thousands of them, in no loop of Python's."""
        return chain(*self._tables, *map(methodcaller("values"), self._tables), *self._lists)

    def _state_of_tensors(self) -> list[Any]:
        """Where the values lie, and which tensors want gradients."""
        tensors = (*self._shared, *self._parameters)
        return [
            *[one.data_ptr() for one in (*tensors, *self._buffers)],
            *[one.requires_grad for one in tensors],
        ]

    def _remember(self, module: nn.Module) -> None:
        """Everything that can be reached from the module and may change."""
        seen: set[int] = set()
        pending: list[Any] = [module]
        while pending:
            value = pending.pop()
            if type(value) in UNCHANGING or isinstance(value, Enum) or id(value) in seen:
                continue
            seen.add(id(value))
            pending += self._remembered(value)

    def _remembered(self, value: Any) -> Iterable[Any]:
        """Remember one of them, and tell what it refers to."""
        if isinstance(value, dict | list | set) and not value:
            self._empty.append(value)
            return ()
        if isinstance(value, nn.Module) and not any("__slots__" in vars(base) for base in type(value).__mro__):
            return (vars(value),)
        if isinstance(value, dict):
            self._tables.append(value)
            return (*value, *value.values())
        if isinstance(value, list):
            self._lists.append(value)
            return value
        if is_borrowed(value):
            self._tables += [vars(value), value._post_accumulate_grad_hooks or {}]
            return ()
        if isinstance(value, Tensor):
            if not any(value is buffer for buffer in self._buffers):
                self._constants.append((value, value.detach().clone()))
            return ()
        return _inside(value)


def _inside(value: Any) -> Iterable[Any]:
    """What something that itself cannot change refers to.  Raises `_Opaque` if it may be of another kind."""
    if isinstance(value, tuple | frozenset):
        return value
    if type(value) is partial:
        return (value.func, value.args, value.keywords)
    if is_dataclass(value) and type(value).__dataclass_params__.frozen:  # type: ignore[union-attr]
        return [getattr(value, field.name) for field in fields(value)]
    raise _Opaque
