"""One architecture's module without weights: what borrowing and extracting start from.

A skeleton is the user's own module whose parameters are on the `meta` device while buffers and constants are
real.  It owns the list of *leaves* (distinct parameters; tied ones are one leaf with several places) and hands out
fresh copies.  It knows nothing of shared tensors.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from search_spaces import Architecture
from supernet.copying import UNCHANGING, Copies
from supernet.errors import LayoutError
from supernet.slicing import Layout, own_layout

Build = Callable[[Architecture], nn.Module]

_registration = threading.RLock()  # reentrant: a build may borrow from other shared weights, a teacher for example


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One parameter of a module, and every place where the module refers to it."""

    name: str  # the first of its names, in the module's own order
    places: tuple[tuple[str, str], ...]  # (path of the owning submodule, attribute)
    shape: tuple[int, ...]
    dtype: torch.dtype
    requires_grad: bool
    layout: Layout | None  # declared beside the layer


def leaves(module: nn.Module) -> tuple[Leaf, ...]:
    """The distinct parameters of `module`, in the order of `module.parameters()`; a tied one appears once.

    Raises `LayoutError` for a parameter without a shape.
    """
    found: dict[int, tuple[nn.Parameter, nn.Module, list[tuple[str, str]]]] = {}
    for path, child in module.named_modules():
        for attribute, parameter in child._parameters.items():
            if parameter is not None:
                found.setdefault(id(parameter), (parameter, child, []))[2].append((path, attribute))
    return tuple(_leaf(parameter, owner, tuple(places)) for parameter, owner, places in found.values())


def _leaf(parameter: nn.Parameter, owner: nn.Module, places: tuple[tuple[str, str], ...]) -> Leaf:
    path, attribute = places[0]
    name = f"{path}.{attribute}" if path else attribute
    if is_lazy(parameter):
        raise LayoutError(
            f"{name} is lazy: it has no shape before the first forward pass; build the layer with its input size."
        )
    return Leaf(
        name=name,
        places=places,
        shape=tuple(parameter.shape),
        dtype=parameter.dtype,
        requires_grad=parameter.requires_grad,
        layout=own_layout(owner, attribute),
    )


@dataclass(frozen=True)
class Skeleton:
    """A module whose parameters have shapes and no values, with its leaves."""

    module: nn.Module
    leaves: tuple[Leaf, ...]

    def instantiate(self, parameters: Sequence[nn.Parameter]) -> nn.Module:
        """A copy with buffers of its own and these parameters, one for each leaf and in the order of `leaves`.

        They replace the skeleton's wherever the module refers to them, also in lists of its own: recurrent
        modules keep such a second list.
        """
        return self._copies.make(parameters)

    @cached_property
    def _copies(self) -> Copies:
        return Copies(self.module, tuple(self.module.parameters()))


def bind(module: nn.Module, leaf: Leaf, parameter: nn.Parameter) -> None:
    """Put `parameter` in every place of `leaf`.

    Through `setattr`, because recurrent modules keep a second list of their weights and update it there.
    """
    for path, attribute in leaf.places:
        setattr(module.get_submodule(path), attribute, parameter)


@torch.inference_mode(False)
def build_real(build: Build, architecture: Architecture, seed: int) -> nn.Module:
    """The user's module with its own initial values; the caller's random state is left as it was."""
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if on_gpu else ()
    with torch.random.fork_rng(devices=devices):
        # Not torch.manual_seed: that would also seed, and leave seeded, a GPU that nobody has used yet.
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed_all(seed)
        try:
            return build(architecture)
        except Exception as error:
            error.add_note(f"while building the architecture {architecture.to_json()}")
            raise


def build_outline(build: Build, architecture: Architecture, seed: int) -> nn.Module:
    """The user's module to count, not to run: parameters on `meta` wherever the factory allows it."""
    try:
        with _parameters_on_meta():
            return build_real(build, architecture, seed)
    except (RuntimeError, TypeError, ValueError):  # a factory that reads values; if it is its own error, it comes again
        return build_real(build, architecture, seed)


@torch.inference_mode(False)
def build_skeleton(build: Build, architecture: Architecture, seed: int) -> Skeleton:
    """The user's module with parameters on `meta`.

    Where a factory reads parameter values (a buffer computed from a weight, an `.item()`), the module is built
    with real parameters instead and these are dropped afterwards: slower, and always right.
    """
    try:
        with _parameters_on_meta() as dropped:
            module = build_real(build, architecture, seed)
        tensors = _tensors(module)
        usable = not _lacks_values(module, tensors, dropped)
    except (RuntimeError, TypeError, ValueError):  # what torch raises where a value is read; or the user's own
        usable = False
    if not usable:
        module = build_real(build, architecture, seed)
        tensors = _tensors(module)
    module = _without_values(module, tensors)
    return Skeleton(module, leaves(module))


def _to_meta(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad)


def _lacks_values(module: nn.Module, tensors: list[torch.Tensor], dropped: Mapping[int, Any]) -> bool:
    """Whether a buffer or another tensor was left without values, or a dropped parameter is still referred to."""
    own = {id(parameter) for parameter in module.parameters()}
    return any((tensor.is_meta and id(tensor) not in own) or id(tensor) in dropped for tensor in tensors)


def _without_values(module: nn.Module, tensors: list[torch.Tensor]) -> nn.Module:
    """The module with all parameters on `meta`, and no other tensor that remembers how it was computed.

    A copy only where something has to be replaced; copying refuses tensors that carry a graph.
    """
    replaced: dict[int, torch.Tensor] = {
        id(parameter): _to_meta(parameter)
        for parameter in module.parameters()
        if not parameter.is_meta and not is_lazy(parameter)
    }
    for tensor in tensors:
        if tensor.grad_fn is not None:
            replaced[id(tensor)] = tensor.detach().clone()
    return copy.deepcopy(module, replaced) if replaced else module


def _tensors(module: nn.Module) -> list[torch.Tensor]:
    """Every tensor among the attributes of `module` and its submodules, also inside ordinary containers."""
    found: dict[int, torch.Tensor] = {}
    seen: set[int] = set()
    pending: list[Any] = [vars(child) for child in module.modules()]
    while pending:
        holder = pending.pop()
        for value in holder.values() if isinstance(holder, dict) else holder:
            if type(value) in UNCHANGING:
                continue
            if isinstance(value, torch.Tensor):
                found[id(value)] = value
            # Most containers are empty tables of hooks.
            elif isinstance(value, dict | list | tuple | set | frozenset) and value and id(value) not in seen:
                seen.add(id(value))
                pending.append(value)
    return list(found.values())


# What draws the values of a parameter: methods of tensors, functions of torch.nn.init, and what libraries put in their
# place under the same names.  On the meta device there is nothing to draw, and torch takes a millisecond of Python for
# it: two thirds of the time that a transformer of many small layers is built in.
_DRAWS = frozenset(
    {"normal_", "uniform_", "trunc_normal_", "orthogonal_"}
    | {f"{kind}_{shape}_" for kind in ("kaiming", "xavier") for shape in ("normal", "uniform")}
)


class _NoDraws(TorchFunctionMode):
    """Within, this thread draws no values for tensors on the meta device."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        if getattr(func, "__name__", None) in _DRAWS:
            tensor = args[0] if args else kwargs.get("tensor")
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                return tensor
        return func(*args, **kwargs)


@contextmanager
def _parameters_on_meta() -> Iterator[Mapping[int, object]]:
    """Within, parameters that this thread registers on any module lose their values.

    Gives the parameters that were dropped, by `id`.  They are kept alive until the end: one that is registered in
    several places must be recognised, and no other object may take its `id`.
    """
    thread = threading.get_ident()
    dropped: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}

    def drop_values(_: nn.Module, __: str, parameter: nn.Parameter) -> nn.Parameter | None:
        if threading.get_ident() != thread or parameter.is_meta or is_lazy(parameter):
            return None
        if id(parameter) not in dropped:
            dropped[id(parameter)] = (parameter, _to_meta(parameter))
        return dropped[id(parameter)][1]

    with _registration, _NoDraws(), warnings.catch_warnings():
        # A build that loads pretrained values: they are copied when the values are wanted, by `build_real`.
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter", category=UserWarning)
        # torch declares these hooks to return None, and documents that what they return is registered instead.
        handle = register_module_parameter_registration_hook(drop_values)  # type: ignore[arg-type]
        try:
            yield dropped
        finally:
            handle.remove()
