"""Putting the units of a pretrained network into the order of their importance, without changing what it computes.

Owns the permutations, the ranks of layers, and the check that nothing was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.errors import CouplingError, PretrainedError
from supernet.modes import evaluation_mode
from supernet.pretrained.matching import Trained, load
from supernet.pretrained.ranked import LayerRanks, layers_at
from supernet.training.snapshot import model_state

if TYPE_CHECKING:
    from supernet.pretrained.calibration import Calibration
    from supernet.pretrained.coupling import Group
    from supernet.pretrained.importance import Importance

TOLERANCE = 1e-5  # of the largest output: sums are taken in another order


@dataclass(frozen=True)
class Moved:
    """A group, and from where each of its units comes."""

    group: Group
    order: Tensor


def unit_orders(groups: Sequence[Group], importance: Importance) -> tuple[Moved, ...]:
    """The most important unit of each group first; equally important ones stay as they are.

    Groups may share an axis: each is ordered after those before it were moved.
    """
    moved = []
    now: dict[tuple[str, int], Tensor] = {}  # where the elements of an axis are now, as positions before all moves
    for group in groups:
        total = torch.zeros(group.units, dtype=torch.float64)
        for member in group.members:
            along = importance.along.get((member.tensor, member.axis))
            if along is not None:
                before = now.get((member.tensor, member.axis), torch.arange(len(along)))
                total += member.by_unit(along.cpu()[before])
        order = torch.argsort(total, descending=True, stable=True)
        moved.append(Moved(group, order))
        for member in group.members:
            positions = member.positions(order)
            key = (member.tensor, member.axis)
            now[key] = now.get(key, torch.arange(len(positions)))[positions]
    return tuple(moved)


def move(tensors: Mapping[str, Tensor], moved: Sequence[Moved]) -> dict[str, Tensor]:
    """The tensors with their units in the new orders; those that no group lists are the same objects."""
    result = dict(tensors)
    for one in moved:
        for member in one.group.members:
            result[member.tensor] = result[member.tensor].index_select(member.axis, member.positions(one.order))
    return result


def rank_layers(module: nn.Module, paths: Sequence[str], importance: Importance, tied: Mapping[str, str]) -> LayerRanks:
    """The most important layer of each list first; equally important ones in the order in which they are computed.

    Raises `CouplingError` where the layers of a list are not of one kind.
    """
    ranks = []
    for path in paths:
        layers = dict(layers_at(module, path).named_children())
        shared = [name for pair in tied.items() for name in pair if name.startswith(f"{path}.")]
        if shared:
            raise CouplingError(
                f"the layers at {path!r} cannot be ranked: {shared[0]} is tied, so that they are not exchangeable."
            )
        kinds = {
            name: [(inner, tuple(tensor.shape)) for inner, tensor in model_state(child).items()]
            for name, child in layers.items()
        }
        first, *others = kinds
        for name in others:
            if kinds[name] != kinds[first]:
                difference = set(kinds[name]) ^ set(kinds[first])
                raise CouplingError(
                    f"the layers at {path!r} cannot be ranked: {path}.{name} and {path}.{first} differ in "
                    f"{', '.join(sorted(inner for inner, _ in difference)[:4]) or 'the order of their parameters'}, "
                    "and a subnet could not tell which of them it keeps."
                )
        values = torch.tensor([importance.layers[f"{path}.{name}"] for name in layers], dtype=torch.float64)
        ranks.append((path, tuple(torch.argsort(values, descending=True, stable=True).tolist())))
    return tuple(ranks)


def rename(tensors: Mapping[str, Tensor], ranks: LayerRanks) -> dict[str, Tensor]:
    """The tensors of ranked layers under the names of their ranks."""
    renamed = dict(tensors)
    for path, places in ranks:
        rank = {str(place): number for number, place in enumerate(places)}
        prefix = f"{path}."
        layered = {}
        for name in [name for name in renamed if name.startswith(prefix)]:
            layer, dot, rest = name.removeprefix(prefix).partition(".")
            layered[f"{prefix}{rank[layer]}{dot}{rest}"] = renamed.pop(name)
        renamed |= layered
    return renamed


def check_same(
    made: Callable[[LayerRanks], nn.Module],
    trained: Trained,
    moved: Sequence[Moved],
    ranks: LayerRanks,
    calibration: Calibration,
) -> None:
    """Raise `CouplingError`, naming what breaks it, unless the network computes what it computed before.

    `made(ranks)` is a module of the largest architecture, of any values, whose layers are computed by these ranks.
    """
    far = partial(_difference, made, trained, calibration)
    if far(moved, ranks, double=False) <= TOLERANCE:
        return
    # Rounding, or a change?  In double precision rounding is gone.  A model that cannot be computed so is judged as is.
    try:
        far = partial(far, double=True)
        whole = far(moved, ranks)
    except (RuntimeError, TypeError, ValueError):
        far = partial(far, double=False)
        whole = far(moved, ranks)
    if whole <= TOLERANCE:
        return
    broken = {one.group.name: far([one], ()) for one in moved}
    broken |= {f"the ranks of the layers at {path}": far([], ((path, places),)) for path, places in ranks}
    guilty = [f"{name} ({far:.1e})" for name, far in broken.items() if not far <= TOLERANCE]
    raise CouplingError(
        f"ordered by importance, the network computes something else: its outputs differ by {whole:.1e} of the "
        f"largest one, and {TOLERANCE:g} is allowed for rounding. Changed by: {', '.join(guilty) or 'all together'}. "
        "A coupling lists every axis along which its units lie, with the blocks and parts of each, and units that "
        "can be exchanged; ranked layers are computed one after another, each once."
    )


def _difference(
    made: Callable[[LayerRanks], nn.Module],
    trained: Trained,
    calibration: Calibration,
    moved: Sequence[Moved],
    ranks: LayerRanks,
    *,
    double: bool,
) -> float:
    """How far the outputs are from those of the network as it was, relative to the largest one."""
    tensors = rename(move(trained.tensors, moved), ranks)
    before = load(made(()), trained.parameters, trained.buffers)
    after = load(
        made(ranks),
        {name: value for name, value in tensors.items() if name in trained.parameters},
        {name: value for name, value in tensors.items() if name in trained.buffers},
    )
    if double:
        before, after, calibration = before.double(), after.double(), calibration.double()
    return max(map(relative, outputs(after, calibration), outputs(before, calibration)))


def outputs(module: nn.Module, calibration: Calibration) -> list[Tensor]:
    """Of each batch, in evaluation mode.  Raises `PretrainedError` where a module does not give one tensor."""
    with evaluation_mode(module), torch.no_grad():
        found = [module(inputs) for inputs in calibration.inputs]
    for output in found:
        if not isinstance(output, Tensor):
            raise PretrainedError(
                f"a model that is ordered returns one tensor, and this one a {type(output).__name__}."
            )
        if bool(output.isnan().any()):
            raise PretrainedError("the outputs for the calibration samples are not finite; look for NaN in them.")
    return found


def relative(found: Tensor, wanted: Tensor) -> float:
    """The largest difference over the largest magnitude; equal infinities, as a mask may leave, do not differ."""
    if found.shape != wanted.shape:
        return float("inf")
    scale = wanted[wanted.isfinite()].abs().amax().clamp(min=torch.finfo(wanted.dtype).tiny)
    return float(torch.where(found == wanted, 0.0, (found - wanted).abs()).max() / scale)
