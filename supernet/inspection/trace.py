"""One forward pass, watched: how each axis of each parameter is read.

The module runs as it is, on one sample, below autograd; what reaches torch's dispatcher is looked up in `signatures`,
and where the elements of each axis have got to is `axes`' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from supernet.compression.policy import suspended
from supernet.inspection.axes import NOTHING, Axis, Numbering, Source, read
from supernet.inspection.signatures import MOVES, signature
from supernet.modes import evaluation_mode
from supernet.skeleton import leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from supernet.inspection.signatures import Labels, Signature


@dataclass(frozen=True)
class Trace:
    """For each parameter of one architecture, its axes as they were read; those that took no part are absent."""

    axes: Mapping[str, tuple[Axis, ...]]


def trace(module: nn.Module, inputs: Tensor) -> Trace:
    """Watch `module` compute one batch of one sample.  Raises what the module raises.

    It runs in evaluation mode, without gradients, with linear maps of few bits in full precision.
    """
    watch = _Watch()
    parameters = dict(zip((leaf.name for leaf in leaves(module)), module.parameters(), strict=True))
    for parameter in parameters.values():
        watch.introduce(parameter)
    if inputs.is_floating_point():  # identifiers choose elements, they are not read
        watch.introduce(inputs)
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(evaluation_mode(module))
        stack.enter_context(suspended(module))
        stack.enter_context(watch.following(module))
        # One opaque operation in place of many that can be followed.
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(torch.no_grad())
        stack.enter_context(watch)
        module(inputs)
    return Trace({name: watch.axes_of(parameter) for name, parameter in parameters.items() if watch.used(parameter)})


@dataclass(eq=False)
class _Numbered:
    """The numbers of a tensor's elements; None for a source whose elements nobody has moved."""

    source: Source
    numbers: Tensor | None = None


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own base class
    """Keeps numbers for every tensor that is computed, and hands them to `read` where an operation reads it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._numbering = Numbering()
        # The tensor is kept with its numbers: another one must not take its `id`.
        self._known: dict[int, tuple[Tensor, _Numbered]] = {}
        self._used: set[int] = set()
        self._path: list[str] = [""]
        self._readings: Counter[tuple[str, str]] = Counter()

    def introduce(self, tensor: Tensor) -> None:
        """Follow a tensor that was not computed."""
        self._keep(tensor, _Numbered(self._numbering.source(tuple(tensor.shape))))

    def axes_of(self, tensor: Tensor) -> tuple[Axis, ...]:
        """Of a tensor that was introduced."""
        return self._known[id(tensor)][1].source.axes

    def used(self, tensor: Tensor) -> bool:
        """Whether an operation had it among its operands."""
        return id(tensor) in self._used

    @contextmanager
    def following(self, module: nn.Module) -> Iterator[None]:
        """Within, it is known in which submodule an operation takes place."""
        handles = []
        for path, child in module.named_modules():
            handles.append(child.register_forward_pre_hook(partial(self._enter, path)))
            handles.append(child.register_forward_hook(self._leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, path: str, *_: object) -> None:
        self._path.append(path)

    def _leave(self, *_: object) -> None:
        self._path.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        followed = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor) and id(one) in self._known]
        if followed:
            self._used |= {id(one) for one in followed}
            name = func.overloadpacket.__name__
            self._follow(name, func, args, kwargs, output, followed)
        return output

    def _follow(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, followed: list[Tensor]
    ) -> None:
        if name in MOVES and self._moved(name, func, args, kwargs, output):
            return
        if name == "copy_":
            self._copied(args[0], args[1])
            return
        found = signature(name.rstrip("_") if name.endswith("_") else name, args, kwargs, output)
        if found is None:
            self._lose(name, followed)
            for one in tree_leaves(output):
                if isinstance(one, Tensor) and one.is_floating_point():
                    self.introduce(one)
            return
        self._compute(found)

    # Moving

    def _moved(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> bool:
        """Do to the numbers what was done to the values; False where that is not possible."""
        if name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1]):
            return False
        options = {
            key: value for key, value in kwargs.items() if key not in ("dtype", "layout", "device", "pin_memory")
        }
        moved: tuple[Any, ...] = tree_map(self._numbers, args)
        if name == "constant_pad_nd":
            moved = (*moved[:2], NOTHING)
        if name == "_to_copy":
            results: Any = moved[0].clone()
        elif name in ("view", "_unsafe_view", "reshape", "_reshape_alias"):  # the numbers may lie in another order
            results = moved[0].reshape(args[1])
        else:
            try:
                results = func(*moved, **options)
            except (RuntimeError, NotImplementedError):
                return False
        for one, numbers in zip(_tensors(output), _tensors(results), strict=True):
            if tuple(one.shape) != tuple(numbers.shape):
                return False
            self._keep(one, _Numbered(self._numbering.sources[0], numbers))
        return True

    def _numbers(self, value: Any) -> Any:
        """For a tensor of values, the numbers of its elements; identifiers and masks stay what they are."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._known:
            return torch.full(value.shape, NOTHING) if value.is_floating_point() else value
        return _dense(self._known[id(value)][1])

    def _copied(self, target: Tensor, source: Tensor) -> None:
        """In place: a whole tensor takes the numbers over; what a part of one takes cannot be followed."""
        if target.numel() * target.element_size() != target.untyped_storage().nbytes():
            self._lose("copy_ into a part of a tensor", [source])
        elif id(source) in self._known:
            self._keep(target, _Numbered(self._numbering.sources[0], self._numbers(source).expand(target.shape)))

    # Computing

    def _compute(self, found: Signature) -> None:
        if not found.results:
            return
        axes: dict[str, Axis] = {label: Axis(size) for label, size in found.sizes.items()}
        moved = any(id(one) in self._known and self._known[id(one)][1].numbers is not None for one, _ in found.operands)
        reading: tuple[str, str, int] = (self._path[-1], found.kind, 0)
        if moved:
            self._readings[reading[:2]] += 1
            reading = (*reading[:2], self._readings[reading[:2]])
        for position, (operand, labels) in enumerate(found.operands):
            shape, flat = _unjoined(labels, tuple(operand.shape), found.sizes)
            places = [
                None if label is None else axes.setdefault(label, Axis(size))
                for label, size in zip(flat, shape, strict=True)
            ]
            if id(operand) in self._known:
                self._read(self._known[id(operand)][1], shape, places, (*reading, position))
        for result, labels in found.results:
            if not result.is_floating_point():
                continue
            shape, flat = _unjoined(labels, tuple(result.shape), found.sizes)
            made = self._numbering.source(
                shape,
                [
                    Axis(size) if label is None else axes.setdefault(label, Axis(size))
                    for label, size in zip(flat, shape, strict=True)
                ],
            )
            numbers = None if len(flat) == len(labels) else _dense(_Numbered(made)).reshape(result.shape)
            self._keep(result, _Numbered(made, numbers))
        for label in found.kernels:
            axes[label].kernel = True
        for label in found.repeated:
            axes[label].root.repeated = True

    def _read(
        self, given: _Numbered, shape: Sequence[int], places: Sequence[Axis | None], reading: tuple[object, ...]
    ) -> None:
        if given.numbers is None and len(shape) == len(given.source.shape):
            for axis, place in zip(given.source.axes, places, strict=True):
                if place is not None and place.size == axis.size:
                    axis.merge(place)
            return
        read(self._numbering, _dense(given).reshape(tuple(shape)).numpy(), places, reading)

    # What is lost

    def _lose(self, name: str, followed: Sequence[Tensor]) -> None:
        for one in followed:
            if id(one) not in self._known:
                continue
            given = self._known[id(one)][1]
            sources = [given.source] if given.numbers is None else self._numbering.among(given.numbers.numpy())
            for source in sources:
                for axis in source.axes:
                    axis.unfollowed.add(name)

    def _keep(self, tensor: Tensor, numbered: _Numbered) -> None:
        self._known[id(tensor)] = (tensor, numbered)


def _dense(given: _Numbered) -> Tensor:
    if given.numbers is not None:
        return given.numbers
    shape = given.source.shape
    size = torch.Size(shape).numel()
    return torch.arange(given.source.base, given.source.base + size).reshape(shape)


def _unjoined(labels: Labels, shape: tuple[int, ...], sizes: Mapping[str, int]) -> tuple[list[int], list[str | None]]:
    """The dimensions with joined ones taken apart: (12,) of ("g", "c") with 3 groups -> (3, 4)."""
    apart: list[int] = []
    flat: list[str | None] = []
    for label, size in zip(labels, shape, strict=True):
        if isinstance(label, tuple):
            apart += [sizes[label[0]], size // sizes[label[0]]]
            flat += label
        else:
            apart.append(size)
            flat.append(label)
    return apart, flat


def _tensors(value: Any) -> list[Tensor]:
    return [one for one in tree_leaves(value) if isinstance(one, Tensor)]
