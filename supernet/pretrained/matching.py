"""Whether a pretrained model is the largest architecture: the same names and shapes, and values that are numbers.

Owns the comparison and its messages, and the copies that are made of the model's tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.errors import PretrainedError
from supernet.skeleton import bind, leaves

if TYPE_CHECKING:
    from supernet.slicing import Shape

SHOWN = 8  # names in a message


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Copies of a pretrained model's tensors, by the names and in the types that `build` gives them."""

    parameters: Mapping[str, Tensor]  # tied ones once
    buffers: Mapping[str, Tensor]
    tied: Mapping[str, str]  # every further name of a tied parameter: its first
    cast: Mapping[str, torch.dtype]  # parameters that came in another type, and which

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers."""
        return {**self.parameters, **self.buffers}

    @property
    def shapes(self) -> dict[str, Shape]:
        """Of parameters and buffers."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def matched(model: nn.Module | Mapping[str, Tensor], largest: nn.Module) -> Trained:
    """The tensors of `model`, which must be those of `largest`, a module of the largest architecture.

    A mapping may give a tied parameter under any of its names, and need not hold buffers.  Floating-point values are
    cast to the type of the module's own: of fp16 and bf16 to fp32 nothing is lost.

    Raises `PretrainedError`, which lists every parameter that is missing, unexpected, of another shape or not finite.
    """
    given = _given(model)
    found = leaves(largest)
    own = dict(largest.named_parameters(remove_duplicate=False))
    buffers = dict(largest.named_buffers(remove_duplicate=False))
    names = {leaf.name: [_joined(place) for place in leaf.places] for leaf in found}
    problems: dict[str, list[str]] = {}

    def complain(what: str, name: str) -> None:
        problems.setdefault(what, []).append(name)

    for leaf in found:
        aliases = [name for name in names[leaf.name] if name in given]
        if not aliases:
            complain("missing", f"{leaf.name} {leaf.shape}")
        for name in aliases:
            if tuple(given[name].shape) != leaf.shape:
                complain("of another shape", f"{name} {tuple(given[name].shape)}, not {leaf.shape}")
            elif not given[name].is_floating_point() and own[name].is_floating_point():
                complain("not of floating point", f"{name} ({given[name].dtype})")
            elif name != aliases[0] and not torch.equal(given[name], given[aliases[0]]):
                complain("tied in build and different here", f"{aliases[0]} and {name}")
    for name in given:
        if name not in own and name not in buffers:
            complain("unexpected", f"{name} {tuple(given[name].shape)}")
        elif name in buffers and given[name].shape != buffers[name].shape:
            complain("of another shape", f"{name} {tuple(given[name].shape)}, not {tuple(buffers[name].shape)}")
    _refuse(problems)

    source = {leaf.name: next(name for name in names[leaf.name] if name in given) for leaf in found}
    trained = Trained(
        parameters={leaf.name: _copy(given[source[leaf.name]], leaf.dtype) for leaf in found},
        buffers={name: _copy(given[name], buffer.dtype) for name, buffer in buffers.items() if name in given},
        tied={name: leaf.name for leaf in found for name in names[leaf.name] if name != leaf.name},
        cast={
            leaf.name: given[source[leaf.name]].dtype for leaf in found if given[source[leaf.name]].dtype != leaf.dtype
        },
    )
    for name, tensor in trained.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            complain("not finite", f"{name} ({int((~torch.isfinite(tensor)).sum())} of {tensor.numel()} values)")
    _refuse(problems)
    return trained


@torch.no_grad()
def load(module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> nn.Module:
    """Give `module` copies of these tensors, in every place of a tied one; returns it."""
    for leaf, parameter in zip(leaves(module), list(module.parameters()), strict=True):
        value = parameters[leaf.name].clone()
        bind(module, leaf, nn.Parameter(value, requires_grad=parameter.requires_grad))
    set_buffers(module, buffers)
    return module


def set_buffers(module: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    """Give `module` copies of these buffers."""
    for name, value in buffers.items():
        path, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(path), attribute, value.clone())


def _given(model: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
    if isinstance(model, nn.Module):
        named: Iterable[tuple[str, Tensor]] = [
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        ]
        return {name: tensor.detach() for name, tensor in named}
    if not isinstance(model, Mapping):
        raise PretrainedError(
            f"a pretrained model is an nn.Module or a mapping of names to tensors, got {type(model).__name__}."
        )
    for name, tensor in model.items():
        if not isinstance(tensor, Tensor):
            raise PretrainedError(
                f"a mapping of names to tensors is needed, and {name!r} is of the type {type(tensor).__name__}; give "
                "what state_dict() returns, nothing around it."
            )
    return {name: tensor.detach() for name, tensor in model.items()}


def _copy(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(device="cpu", dtype=dtype, copy=True).contiguous()


def _joined(place: tuple[str, str]) -> str:
    return ".".join(part for part in place if part)


def _refuse(problems: Mapping[str, list[str]]) -> None:
    if not problems:
        return
    lines = [
        f"  {what}: {'; '.join(names[:SHOWN])}{f'; and {len(names) - SHOWN} more' if len(names) > SHOWN else ''}"
        for what, names in problems.items()
    ]
    raise PretrainedError(
        "\n".join(["the pretrained model cannot be the largest architecture of the space, as build makes it:", *lines])
        + "\nRename its tensors as build names them, or change the space so that its largest architecture is this one."
    )
