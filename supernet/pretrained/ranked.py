"""Layers that are named by rank and computed in another order: what keeps a network the same when layers are ranked.

A subnet of depth d keeps the layers called 0 to d - 1.  For these to be the most useful ones, names are ranks; the
order in which the layers are computed stays that of the pretrained network.  Owns the build that does this, and the
tensors that only the pretrained architecture itself has (buffers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from supernet.errors import CouplingError
from supernet.pretrained.matching import set_buffers

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet.skeleton import Build

LayerRanks = tuple[tuple[str, tuple[int, ...]], ...]
"""For each path of ranked layers, the place in the computation of each rank: (2, 0, 1) computes rank 1, 2, 0."""


class RankedLayers(nn.ModuleList):
    """Layers whose names are ranks, held in the order in which they are computed: by position, they are that order."""

    def __getitem__(self, index: Any) -> Any:
        computed = list(self._modules.values())
        # As a new list, whose names are positions: a model that computes only some of its layers asks for them so.
        return nn.ModuleList(computed[index]) if isinstance(index, slice) else computed[index]


@dataclass(frozen=True)
class PretrainedBuild:
    """`build` with ranked layers, and with the buffers of the pretrained model in its own architecture."""

    build: Build
    ranks: LayerRanks = ()
    architecture: Architecture | None = None  # to which the buffers belong
    buffers: Mapping[str, Tensor] = field(default_factory=dict)

    def __call__(self, architecture: Architecture) -> nn.Module:
        module = self.build(architecture)
        for path, places in self.ranks:
            _rank(module, path, places)
        if architecture == self.architecture:
            set_buffers(module, self.buffers)
        return module


def ranked(build: Build, ranks: LayerRanks) -> Build:
    """`build` whose layers are computed by rank; `build` itself where none are ranked."""
    return PretrainedBuild(build, ranks) if ranks else build


def layers_at(module: nn.Module, path: str) -> nn.ModuleList | nn.Sequential:
    """The list of layers at `path`.  Raises `CouplingError` where there is none."""
    try:
        found = module.get_submodule(path)
    except AttributeError as error:
        raise CouplingError(f"layers cannot be ranked at {path!r}: the model has no such part ({error}).") from error
    if type(found) not in (nn.ModuleList, nn.Sequential):
        raise CouplingError(
            f"layers can be ranked in an nn.ModuleList or an nn.Sequential, and {path!r} is of the type "
            f"{type(found).__name__}."
        )
    names = list(found._modules)
    if names != [str(position) for position in range(len(names))]:
        raise CouplingError(f"layers that are ranked are called by number, and those at {path!r} {', '.join(names)}.")
    return found  # type: ignore[return-value]


def _rank(module: nn.Module, path: str, places: tuple[int, ...]) -> None:
    try:
        module.get_submodule(path)
    except AttributeError:  # another architecture, which has no such layers
        return
    layers = layers_at(module, path)

    def place(name: str) -> int:
        return places[int(name)] if int(name) < len(places) else int(name)

    # In the table itself: the names stay, and both kinds of list compute in the order of their table.
    modules = {name: layers._modules[name] for name in sorted(layers._modules, key=place)}
    layers._modules.clear()
    layers._modules.update(modules)
    if isinstance(layers, nn.ModuleList):  # as another type in its place: other parts of the model may refer to it
        layers.__class__ = RankedLayers
