"""The shared tensors that a pretrained model begins with, and the build that belongs to them.

Owns the order of the steps: match, measure, move, check, and write the result into the tensors that `build` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet import slicing
from supernet.discovery import initial_values
from supernet.errors import CouplingError, PretrainedError
from supernet.pretrained.coupling import Couplings, find_groups
from supernet.pretrained.importance import Criterion, importance_of
from supernet.pretrained.matching import load, matched
from supernet.pretrained.ordering import (
    TOLERANCE,
    check_same,
    move,
    outputs,
    rank_layers,
    relative,
    rename,
    unit_orders,
)
from supernet.pretrained.ranked import LayerRanks, PretrainedBuild, ranked
from supernet.skeleton import build_real, leaves
from supernet.slicing import Layout, Layouts

if TYPE_CHECKING:
    from search_spaces import SearchSpace
    from supernet.pretrained.calibration import Calibration
    from supernet.skeleton import Build


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """What is ordered by importance: the units of `couplings`, and the layers in the lists at the paths `layers`."""

    by: Criterion
    calibration: Calibration
    couplings: Couplings = ()
    layers: Sequence[str] = ()


def ordering_of(
    by: Criterion | None, *, couplings: Couplings, layers: Sequence[str], calibration: Calibration | None
) -> Ordering | None:
    """None without a criterion.  Raises `PretrainedError` where one is given and what it needs is not."""
    if by is None:
        if layers:
            raise PretrainedError("layers are ranked by importance; say which: order='magnitude', for example.")
        return None
    if calibration is None:
        raise PretrainedError(
            "an order by importance needs calibration=Calibration(inputs=(batch, ...)): also where only weights are "
            "compared, it is checked that the network still computes the same."
        )
    return Ordering(by=by, calibration=calibration, couplings=couplings, layers=layers)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Shared tensors by name, the build whose largest architecture is the pretrained model, and what was done."""

    values: Mapping[str, Tensor]
    build: Build
    ranks: LayerRanks
    ordered: tuple[str, ...]  # the groups of units
    cast: Mapping[str, torch.dtype]  # parameters that came in another type, and which


def start(
    model: nn.Module | Mapping[str, Tensor],
    build: Build,
    space: SearchSpace,
    *,
    layouts: Mapping[str, Layout] | Layouts | None = None,
    ordering: Ordering | None = None,
    seed: int = 0,
) -> Start:
    """What shared weights begin with; see `SharedWeights.from_pretrained`.  Nothing of `model` is changed or kept."""
    largest = space.largest()
    trained = matched(model, build_real(build, largest, seed))
    parameters, buffers = dict(trained.parameters), dict(trained.buffers)
    ranks: LayerRanks = ()
    names: tuple[str, ...] = ()
    if ordering is not None:
        module = load(build_real(build, largest, seed), trained.parameters, trained.buffers)
        if isinstance(model, nn.Module) and not trained.cast:
            _check_model(model, module, ordering.calibration)
        couplings = ordering.couplings(largest) if callable(ordering.couplings) else ordering.couplings
        groups = find_groups(couplings, trained.shapes, trained.tied)
        importance = importance_of(module, ordering.by, groups, ordering.layers, ordering.calibration)
        moved = unit_orders(groups, importance)
        ranks = rank_layers(module, ordering.layers, importance, trained.tied)
        if not groups and not ranks:
            raise CouplingError(
                "there is nothing to order; give the couplings of the model, or the paths of its layers."
            )

        def made(ranks: LayerRanks) -> nn.Module:
            return build_real(ranked(build, ranks), largest, seed)

        check_same(made, trained, moved, ranks, ordering.calibration)
        tensors = rename(move(trained.tensors, moved), ranks)
        parameters = {name: tensors[name] for name in parameters}
        buffers = {name: tensors[name] for name in buffers}
        names = tuple(group.name for group in groups)
    own = PretrainedBuild(build, ranks, largest, buffers)
    declared = layouts if isinstance(layouts, Layouts) else Layouts(layouts)
    values = initial_values(own, space, declared, seed)
    _write(values, parameters, build_real(own, largest, seed), declared)
    return Start(values=values, build=own, ranks=ranks, ordered=names, cast=trained.cast)


@torch.no_grad()
def _write(
    values: Mapping[str, Tensor], parameters: Mapping[str, Tensor], largest: nn.Module, layouts: Layouts
) -> None:
    """Put the largest architecture's parameters where they lie in the shared tensors."""
    for leaf in leaves(largest):
        shared = values[leaf.name]
        regions = layouts.regions(leaf.name, tuple(shared.shape), leaf.shape, leaf.layout)
        slicing.scatter_copy(shared, regions, parameters[leaf.name])


def _check_model(model: nn.Module, module: nn.Module, calibration: Calibration) -> None:
    """Refuse a model that has the names and shapes of `module`, and computes something else with them."""
    far = max(map(relative, outputs(module, calibration), outputs(model, calibration)))
    if not far <= TOLERANCE:
        raise PretrainedError(
            f"the given model and the one that build makes have the same tensors and compute different things: their "
            f"outputs differ by {far:.1e} of the largest one. Look for another activation, normalisation or number of "
            "heads."
        )
